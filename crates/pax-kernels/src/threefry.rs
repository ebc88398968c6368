//! Threefry-2x32 with 20 rounds (Salmon et al. 2011), as `jax/_src/prng.py` has it.

const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/// Encrypts a counter of two words.
#[inline(never)]
pub fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let ks = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let (mut a, mut b) = (counter[0].wrapping_add(ks[0]), counter[1].wrapping_add(ks[1]));
    for round in 0..5u32 {
        for r in ROTATIONS[round as usize % 2] {
            a = a.wrapping_add(b);
            b = b.rotate_left(r) ^ a;
        }
        let i = round as usize + 1;
        a = a.wrapping_add(ks[i % 3]);
        b = b.wrapping_add(ks[(i + 1) % 3]).wrapping_add(i as u32);
    }
    [a, b]
}
