// On the host this target is empty: what it holds is compiled for the kernel only (folder Kernel).
