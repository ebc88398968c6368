//! Threefry-2x32 with 20 rounds (Salmon et al. 2011), as `jax/_src/prng.py` has it.

use crate::tile::Simd;

/// One round of counters side by side; a rotation that is known is three instructions.
#[inline(always)]
fn round<const R: u32, const L: usize>(a: &mut [u32; L], b: &mut [u32; L]) {
    for l in 0..L {
        a[l] = a[l].wrapping_add(b[l]);
    }
    for l in 0..L {
        b[l] = b[l].rotate_left(R) ^ a[l];
    }
}

/// Four rounds, and the key's words for the `i`-th time.
#[inline(always)]
fn rounds<const R0: u32, const R1: u32, const R2: u32, const R3: u32, const L: usize>(
    ks: [u32; 3],
    i: usize,
    a: &mut [u32; L],
    b: &mut [u32; L],
) {
    round::<R0, L>(a, b);
    round::<R1, L>(a, b);
    round::<R2, L>(a, b);
    round::<R3, L>(a, b);
    for a in a {
        *a = a.wrapping_add(ks[i % 3]);
    }
    for b in b {
        *b = b.wrapping_add(ks[(i + 1) % 3]).wrapping_add(i as u32);
    }
}

/// Encrypts counters side by side, which are the words `a` and `b`.
#[inline(always)]
fn encrypt<const L: usize>(key: [u32; 2], a: [u32; L], b: [u32; L]) -> ([u32; L], [u32; L]) {
    let ks = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let (mut a, mut b) = (a.map(|a| a.wrapping_add(ks[0])), b.map(|b| b.wrapping_add(ks[1])));
    rounds::<13, 15, 26, 6, L>(ks, 1, &mut a, &mut b);
    rounds::<17, 29, 16, 24, L>(ks, 2, &mut a, &mut b);
    rounds::<13, 15, 26, 6, L>(ks, 3, &mut a, &mut b);
    rounds::<17, 29, 16, 24, L>(ks, 4, &mut a, &mut b);
    rounds::<13, 15, 26, 6, L>(ks, 5, &mut a, &mut b);
    (a, b)
}

/// Encrypts a counter of two words.
#[inline(never)]
pub fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let ([a], [b]) = encrypt(key, [counter[0]], [counter[1]]);
    [a, b]
}

/// Counters that are encrypted side by side.
const LANES: usize = 16;

/// The two words of each counter from `from` on, joined by exclusive or.
#[inline(always)]
fn lanes(key: [u32; 2], from: u64) -> [u32; LANES] {
    let counter = |l: usize| from.wrapping_add(l as u64);
    let (a, b) = encrypt::<LANES>(key, std::array::from_fn(|l| (counter(l) >> 32) as u32), std::array::from_fn(|l| counter(l) as u32));
    std::array::from_fn(|l| a[l] ^ b[l])
}

#[inline(always)]
fn fill(key: [u32; 2], from: u64, out: &mut [u32]) {
    for (k, part) in out.chunks_mut(LANES).enumerate() {
        part.copy_from_slice(&lanes(key, from + (k * LANES) as u64)[..part.len()]);
    }
}

/// 32 random bits for each counter from `from` on: both words of a counter, joined by exclusive or.
pub fn words(key: [u32; 2], from: u64, out: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    fn avx512(key: [u32; 2], from: u64, out: &mut [u32]) {
        fill(key, from, out)
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(key: [u32; 2], from: u64, out: &mut [u32]) {
        fill(key, from, out)
    }
    match Simd::detect() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has them.
        Simd::Avx512 => unsafe { avx512(key, from, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Simd::Avx2 => unsafe { avx2(key, from, out) },
        _ => fill(key, from, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_by_side_as_one_by_one() {
        for (from, n) in [(0, 1), (3, 40), (u64::from(u32::MAX) - 20, 50), (1 << 40, 16)] {
            let mut out = vec![0; n];
            words([7, 42], from, &mut out);
            for (i, &w) in out.iter().enumerate() {
                let at = from + i as u64;
                let [a, b] = threefry2x32([7, 42], [(at >> 32) as u32, at as u32]);
                assert_eq!(w, a ^ b);
            }
        }
    }
}
