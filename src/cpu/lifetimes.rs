//! Which buffer each intermediate value of a graph lies in: one at a time, from the node that writes it to its last use.

use crate::plan::{Graph, ValueId};

/// The places of a graph's intermediates.
#[derive(Debug, Default)]
pub struct Places {
    /// Per value its buffer; none for what lives outside the graph.
    pub values: Vec<Option<usize>>,
    /// Per node the buffer of what it needs only while it runs.
    pub scratch: Vec<Option<usize>>,
    /// Values that each buffer holds at most.
    pub lengths: Vec<usize>,
    free: Vec<usize>,
}

/// Bytes of a graph's intermediate values, without what nodes need only while they run.
#[cfg(feature = "train")]
pub fn kept_bytes(graph: &Graph) -> u64 {
    4 * Places::new(graph, |_| 0).lengths.iter().map(|len| *len as u64).sum::<u64>()
}

impl Places {
    /// Gives every intermediate of a graph a place; `scratch` says how many values a node needs besides.
    pub fn new(graph: &Graph, scratch: impl Fn(usize) -> usize) -> Places {
        let mut last = vec![0; graph.values.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            node.op.reads().chain([node.output]).for_each(|value| last[value.index()] = i);
        }
        let mut places = Places { values: vec![None; graph.values.len()], ..Places::default() };
        for (i, node) in graph.nodes.iter().enumerate() {
            let output = node.output.index();
            if graph.values[output].external.is_none() && places.values[output].is_none() {
                places.values[output] = Some(places.take(graph.shape(node.output).len() as usize));
            }
            let needed = Some(scratch(i)).filter(|len| *len > 0).map(|len| places.take(len));
            places.scratch.push(needed);
            places.free.extend(needed);
            let mut dead: Vec<ValueId> = node.op.reads().chain([node.output]).collect();
            dead.retain(|value| last[value.index()] == i);
            dead.sort();
            dead.dedup();
            places.free.extend(dead.into_iter().filter_map(|value| places.values[value.index()]));
        }
        places
    }

    /// A free buffer for so many values: the smallest that has room, else the largest, made larger.
    fn take(&mut self, len: usize) -> usize {
        let size = |at: &usize| self.lengths[self.free[*at]];
        let all = || 0..self.free.len();
        let fits = all().filter(|at| size(at) >= len).min_by_key(size);
        match fits.or_else(|| all().max_by_key(size)) {
            Some(at) => {
                let buffer = self.free.swap_remove(at);
                self.lengths[buffer] = self.lengths[buffer].max(len);
                buffer
            }
            None => {
                self.lengths.push(len);
                self.lengths.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Builder, Conv, Epilogue, Outside, Path, Shape};

    /// What is alive at one time never shares a buffer, and what is not is used again.
    #[test]
    fn values_that_live_together_lie_apart() {
        let mut b = Builder::new("test");
        let path = Path::root("layer");
        let first = b.input(Outside::Sample, Shape::image(1, 8, 8, 4));
        let mut x = first;
        for i in 0..6 {
            let norm = b.group_norm(&path.pp(i), x, None, 2, 1e-5, true);
            x = b.conv2d(&path.pp(i), norm, 4, 4, Conv::same(), Epilogue::residual(x));
        }
        b.output(Outside::Prediction, x);
        let graph = b.finish();
        let places = Places::new(&graph, |node| if node % 2 == 1 { 400 } else { 0 });
        assert_eq!(places.lengths.len(), 4, "{places:?}");
        let mut written: Vec<Option<ValueId>> = vec![None; places.lengths.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            let place = |value: ValueId| places.values[value.index()];
            for read in node.op.reads().filter(|value| *value != first) {
                assert_eq!(place(read).and_then(|buffer| written[buffer]), Some(read), "node {i}");
            }
            let taken = [place(node.output), places.scratch[i]];
            assert!(node.op.reads().all(|read| !taken.iter().flatten().any(|b| Some(*b) == place(read))));
            assert!(taken[0].is_none() || taken[0] != taken[1], "node {i}");
            if let Some(buffer) = place(node.output) {
                written[buffer] = Some(node.output);
            }
            if let Some(buffer) = places.scratch[i] {
                written[buffer] = None;
            }
        }
    }
}
