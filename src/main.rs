//! Start-up only.
//! Next: `lib.rs`.
fn main() {}
