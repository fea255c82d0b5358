//! Memory that a crowd leaves behind.
//!
//! A hundred viewers make the heap some 50 MB larger. When they are gone all of
//! it is free, but glibc gives back only what lies at the end of the heap.

/// Gives free memory back to the system. Takes some milliseconds, in which
/// threads that allocate may wait: for when nobody watches.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointers, and glibc calls it safe for threads.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
