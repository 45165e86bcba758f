// The eBPF object of KernelServer. Its one public name, `KernelServerImage.bytes`, is generated: the
// CompileKernel plugin compiles the targets this one depends on and embeds the result.
