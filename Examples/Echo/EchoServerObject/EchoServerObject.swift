// The eBPF object of EchoServer is embedded in this module by the CompileKernel plugin.
