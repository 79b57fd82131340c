//! Buffers to read into, which all connections of a thread share.
//!
//! A connection has one only while it holds what was read and not taken yet: while it waits, as it
//! does nearly always, it has none.

use std::cell::RefCell;

/// How much is read at once: a whole frame of Envoy's. It is also what a connection may hold whose
/// client lets nothing be written.
const SIZE: usize = 16 * 1024;

/// How many a thread keeps. It reads from one connection at a time.
const MOST_KEPT: usize = 4;

thread_local! {
    static KEPT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// What has been read.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) bytes: Box<[u8]>,
    /// From where on it has not been passed on.
    pub(super) at: usize,
    /// Up to where it was read.
    pub(super) end: usize,
}

impl Stage {
    pub(super) fn take() -> Self {
        let kept = KEPT.with_borrow_mut(Vec::pop);
        Self { bytes: kept.unwrap_or_else(|| vec![0; SIZE].into()), at: 0, end: 0 }
    }

    pub(super) fn give_back(self) {
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < MOST_KEPT {
                kept.push(self.bytes);
            }
        });
    }
}
