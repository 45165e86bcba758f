// Nothing to declare: clock_gettime(2) is <time.h>'s.
