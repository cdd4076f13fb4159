//! The end of the live segment in memory: whole aligned blocks, so that every batch is one write of whole blocks and
//! the partly filled last block is written again with the bytes it had.

use crate::limits::{BLOCK_BYTES, FRAME_STEP_BYTES};

/// Bytes of the live segment from a block boundary on, up to its end so far.
pub(crate) struct TailBuffer {
    memory: Vec<u8>,
    /// First aligned byte of `memory`.
    start: usize,
    /// Where the first byte belongs in the file; a multiple of the block size.
    position: u64,
    /// Bytes in use.
    filled: usize,
}

impl TailBuffer {
    pub(crate) fn new() -> Self {
        let mut buffer = Self { memory: Vec::new(), start: 0, position: 0, filled: 0 };
        buffer.grow(16 * BLOCK_BYTES);
        buffer
    }

    /// Where the first byte belongs in the file.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Where the next pushed byte belongs in the file.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.filled as u64
    }

    /// Forgets everything and goes to `position`, a block boundary.
    pub(crate) fn restart(&mut self, position: u64) {
        assert!(position.is_multiple_of(BLOCK_BYTES as u64), "blocks are aligned in the file");
        self.position = position;
        self.filled = 0;
    }

    /// Adds bytes at the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
    }

    /// Adds `count` bytes at the end for the caller to fill.
    pub(crate) fn space(&mut self, count: usize) -> &mut [u8] {
        let filled = self.filled;
        self.grow((filled + count).next_multiple_of(BLOCK_BYTES));
        self.filled = filled + count;
        &mut self.memory[self.start + filled..self.start + filled + count]
    }

    /// Adds zeros up to where a frame may begin.
    pub(crate) fn align(&mut self) {
        self.space(self.filled.next_multiple_of(FRAME_STEP_BYTES) - self.filled).fill(0);
    }

    /// Everything, filled up to whole blocks with zeros.
    pub(crate) fn blocks(&mut self) -> &[u8] {
        let whole = self.filled.next_multiple_of(BLOCK_BYTES);
        self.memory[self.start + self.filled..self.start + whole].fill(0);
        &self.memory[self.start..self.start + whole]
    }

    /// Drops the full blocks, which are durable, and keeps the partly filled last one.
    pub(crate) fn keep_last_block(&mut self) {
        let full = self.filled / BLOCK_BYTES * BLOCK_BYTES;
        self.memory.copy_within(self.start + full..self.start + self.filled, self.start);
        self.position += full as u64;
        self.filled -= full;
    }

    fn grow(&mut self, needed: usize) {
        if self.start + needed <= self.memory.len() {
            return;
        }
        let mut memory = vec![0; (2 * needed).next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        memory[start..start + self.filled]
            .copy_from_slice(&self.memory[self.start..self.start + self.filled]);
        self.memory = memory;
        self.start = start;
    }
}
