// The eBPF object of KeyValueServer is embedded in this module by the CompileKernel plugin.
