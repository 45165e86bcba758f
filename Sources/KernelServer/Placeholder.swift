@section("tc") @used @c(apus_ingress) func ingress(_ context: UnsafeMutableRawPointer) -> Int32 { 0 }
