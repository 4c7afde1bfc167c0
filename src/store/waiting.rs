//! What waits in memory while a file is brought: records some parts of which have come, and chunks half full. Kept beside the
//! chunks, it lets an interrupted download go on at the tensor that it had come to; without it all would have to come again
//! from the first tensor on that a missing chunk is made of, which in some files is nearly all of it.

/// A record, or a chunk, of which there is a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun<B> {
    /// Its place among all of them.
    pub index: usize,
    /// Of a record: how many tensors it still waits for. Of a chunk: how many bytes of records have come.
    pub count: u64,
    /// All of its bytes, those that have not come zero.
    pub bytes: B,
}

/// What there is after some tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting<B> {
    /// The tensor's end: bytes of the file.
    pub at: u64,
    /// By chunk: whether this pass over the file was to complete it.
    pub chunks: Vec<bool>,
    pub records: Vec<Begun<B>>,
    pub open: Vec<Begun<B>>,
}

impl<B> Waiting<B> {
    pub fn begun(&self) -> impl Iterator<Item = &Begun<B>> {
        self.records.iter().chain(&self.open)
    }
}
