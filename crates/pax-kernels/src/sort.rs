//! Permutations that sort.

/// The stable order of as many elements as `lane` has, by the first key, then the second, …; `base` is where their keys begin.
pub fn sort(keys: &[Vec<u64>], base: usize, lane: &mut [i32]) {
    for (i, o) in lane.iter_mut().enumerate() {
        *o = i as i32;
    }
    lane.sort_by(|&a, &b| {
        keys.iter().map(|k| k[base + a as usize].cmp(&k[base + b as usize])).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
}

/// Keys of four bytes with their places below them: equal ones keep their order.
pub fn sort_words(words: &mut [u64]) {
    words.sort_unstable();
}
