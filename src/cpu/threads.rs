//! Work on several threads: natively rayon's, in the page's isolated module a crew of workers over shared memory, else none.
//!
//! Pieces of work are whole rows, lines or heads, never parts of a sum, so that any number of threads gives the same bits. Work within
//! a piece of work may be handed out again: rayon shares it, the crew's thread does it by itself.

use std::cell::RefCell;

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub mod crew;

/// How many threads work.
pub fn count() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    return rayon::current_num_threads();
    #[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
    return crew::count();
    #[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
    1
}

/// Does something with each block of so many values, the last of which may be shorter, by all threads.
pub fn by_chunks<T: Send>(values: &mut [T], block: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let block = block.max(1);
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        values.par_chunks_mut(block).enumerate().for_each(|(i, block)| work(i, block));
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
    {
        let blocks: Vec<_> = values.chunks_mut(block).map(std::sync::Mutex::new).collect();
        crew::each(blocks.len(), &|i| work(i, &mut crew::lock(&blocks[i])));
    }
    #[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
    values.chunks_mut(block).enumerate().for_each(|(i, block)| work(i, block));
}

/// The results of `work` for the first `count` numbers, in their order, by all threads.
pub fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().map(&work).collect()
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
    {
        let mut results: Vec<_> = (0..count).map(|_| std::sync::Mutex::new(None)).collect();
        crew::each(count, &|i| *crew::lock(&results[i]) = Some(work(i)));
        results.iter_mut().filter_map(|result| crew::lock(result).take()).collect()
    }
    #[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
    (0..count).map(work).collect()
}

/// Does something with room for so many values, whose values nobody knows: each thread keeps its own from one time to the next.
pub fn with_room<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    ROOM.with_borrow_mut(|room| {
        if room.len() < len {
            *room = Vec::new(); // the old one goes before there is a larger one
            room.resize(len, 0.0);
        }
        work(&mut room[..len])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_worked_on_once_and_knows_its_place() {
        for (len, block) in [(0, 4), (1, 4), (12, 4), (13, 4), (5, 0)] {
            let mut values = vec![0.0; len];
            by_chunks(&mut values, block, |i, some| some.iter_mut().for_each(|x| *x += 1.0 + i as f32));
            let expected: Vec<f32> = (0..len).map(|at| 1.0 + (at / block.max(1)) as f32).collect();
            assert_eq!(values, expected, "{len} by {block}");
        }
    }

    #[test]
    fn results_stand_in_order() {
        assert_eq!(map(100, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
        assert!(map(0, |i| i).is_empty());
    }
}
