#ifndef CEPOLL_H
#define CEPOLL_H
// epoll(7), which Swift's Glibc module lacks.
#include <sys/epoll.h>

static const unsigned int cepoll_in = EPOLLIN;
#endif
