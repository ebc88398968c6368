//! The micro-kernel of direct convolution: a tile of a sum of products whose sums stay in registers, for AVX-512, AVX2 and WebAssembly.
//! `winograd`'s transforms are compiled here too, from the same operations.
use super::winograd::transform::Transforms;
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
use super::winograd::transform::{transforms, Scheme};

/// Most rows of any tile.
pub const ROWS: usize = 14;

/// What a tile adds up: `runs` stretches of `len` terms. Steps, in elements, of both operands from term to term and from stretch to stretch.
#[derive(Clone, Copy)]
pub struct Sum {
    pub runs: usize,
    pub len: usize,
    pub a: [usize; 2],
    pub b: [usize; 2],
}

/// A tile's result: begin, where its rows lie from there, how many columns there are, and whether they are added to.
#[derive(Clone, Copy)]
pub struct Out<'a> {
    pub data: *mut f32,
    pub rows: &'a [usize; ROWS],
    pub width: usize,
    pub add: bool,
}

/// `out[r, j] = Σ a[rows[r] + run · a_run + l · a_step] · b[run · b_run + l · b_step + j]`, then added to what `out` holds if it says so: long sums in parts keep their digits.
///
/// # Safety
/// The machine has the instructions; all that is named can be read, all vectors of `b` as a whole; nobody else uses `out`'s elements.
pub type Tile = unsafe fn(sum: &Sum, a: *const f32, rows: &[usize; ROWS], b: *const f32, out: Out);

/// The tiles of an instruction set: by vectors of columns (1 or 2), then by rows (from 1).
pub struct Tiles {
    pub lanes: usize,
    pub rows: usize,
    pub tiles: [[Tile; ROWS]; 2],
    pub transforms: &'static Transforms,
}

/// Tiles in the vectors of the module that uses it; rows are unrolled by hand, since the compiler keeps longer loops in memory.
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
macro_rules! tiles { ($feature:literal, $rows:literal, [$($r:literal)*]) => {
    #[inline(never)]
    #[target_feature(enable = $feature)]
    unsafe fn tile<const R: usize, const N: usize>(sum: &Sum, a: *const f32, rows: &[usize; ROWS], b: *const f32, out: Out) {
        macro_rules! each { ($f:ident) => { $f!(0); $f!(1); $f!(2); $f!(3); $f!(4); $f!(5); $f!(6); $f!(7); $f!(8); $f!(9); $f!(10); $f!(11); $f!(12); $f!(13); } }
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [[zero(); N]; R];
            for run in 0..sum.runs {
                let (mut p, mut q) = (a.add(run * sum.a[1]), b.add(run * sum.b[1]));
                for _ in 0..sum.len {
                    let mut y = [zero(); N];
                    for j in 0..N { y[j] = load(q.add(j * LANES)); }
                    macro_rules! row { ($i:literal) => { if $i < R {
                        let x = set(*p.add(*rows_of(rows, $i)));
                        let s = sums.get_unchecked_mut($i);
                        for j in 0..N { s[j] = fma(x, y[j], s[j]); }
                    } } }
                    each!(row);
                    (p, q) = (p.wrapping_add(sum.a[0]), q.wrapping_add(sum.b[0]));
                }
            }
            if out.add {
                macro_rules! old { ($i:literal) => { if $i < R {
                    let s = sums.get_unchecked_mut($i);
                    for j in 0..N { s[j] = add(load_part(out.data.add(*rows_of(out.rows, $i) + j * LANES), out.width.saturating_sub(j * LANES)), s[j]); }
                } } }
                each!(old);
            }
            macro_rules! end { ($i:literal) => { if $i < R {
                for j in 0..N { store_part(out.data.add(*rows_of(out.rows, $i) + j * LANES), sums.get_unchecked($i)[j], out.width.saturating_sub(j * LANES)); }
            } } }
            each!(end);
        }
    }
    pub static TILES: Tiles = Tiles { lanes: LANES, rows: $rows, tiles: [[$(tile::<$r, 1>),*], [$(tile::<$r, 2>),*]], transforms: &TRANSFORMS };
} }

/// The `i`-th of a tile's row offsets.
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
#[inline(always)]
unsafe fn rows_of(rows: &[usize; ROWS], i: usize) -> &usize {
    // SAFETY: tiles have at most as many rows.
    unsafe { rows.get_unchecked(i) }
}

/// The operations on whole vectors of x86-64, by their intrinsics.
#[cfg(target_arch = "x86_64")]
macro_rules! operations {
    ($feature:literal, $v:ty: $zero:ident $set:ident $load:ident $store:ident $fma:ident $add:ident $sub:ident $mul:ident) => {
        operations!(@safe $feature, $v: zero() $zero(), set(x: f32) $set(x), fma(x: $v, y: $v, z: $v) $fma(x, y, z),
            add(x: $v, y: $v) $add(x, y), sub(x: $v, y: $v) $sub(x, y), half(x: $v) $mul(x, set(0.5)));
        #[inline]
        #[target_feature(enable = $feature)]
        unsafe fn load(p: *const f32) -> $v {
            unsafe { $load(p) }
        }
        #[inline]
        #[target_feature(enable = $feature)]
        unsafe fn store(p: *mut f32, x: $v) {
            unsafe { $store(p, x) }
        }
    };
    (@safe $feature:literal, $v:ty: $($name:ident($($x:ident: $t:ty),*) $f:ident($($y:expr),*)),*) => { $(
        #[inline]
        #[target_feature(enable = $feature)]
        fn $name($($x: $t),*) -> $v {
            $f($($y),*)
        }
    )* };
}

#[cfg(target_arch = "x86_64")]
pub mod avx512 {
    use super::*;
    use std::arch::x86_64::*;
    const LANES: usize = 16;
    operations!("avx512f", __m512: _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_fmadd_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps);
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn mask(n: usize) -> __mmask16 {
        if n >= LANES {
            u16::MAX
        } else {
            (1 << n) - 1
        }
    }
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load_part(p: *const f32, n: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(mask(n), p) }
    }
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store_part(p: *mut f32, x: __m512, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, mask(n), x) }
    }
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn any_nan(x: __m512) -> bool {
        _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x) != 0
    }
    transforms!("avx512f");
    tiles!("avx512f", 14, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]);
}

#[cfg(target_arch = "x86_64")]
pub mod avx2 {
    use super::*;
    use std::arch::x86_64::*;
    const LANES: usize = 8;
    operations!("avx2,fma", __m256: _mm256_setzero_ps _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_fmadd_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps);
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mask(n: usize) -> __m256i {
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(LANES) as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    }
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load_part(p: *const f32, n: usize) -> __m256 {
        unsafe {
            if n >= LANES {
                load(p)
            } else {
                _mm256_maskload_ps(p, mask(n))
            }
        }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store_part(p: *mut f32, x: __m256, n: usize) {
        unsafe {
            if n >= LANES {
                store(p, x)
            } else {
                _mm256_maskstore_ps(p, mask(n), x)
            }
        }
    }
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn any_nan(x: __m256) -> bool {
        _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x)) != 0
    }
    transforms!("avx2,fma");
    tiles!("avx2,fma", 6, [1 2 3 4 5 6 6 6 6 6 6 6 6 6]);
}

#[cfg(target_feature = "simd128")]
pub mod simd128 {
    use super::*;
    use crate::panel::simd128::single::{fma, load, load_part as some, store, store_part as put, zero, LANES};
    use std::arch::wasm32::*;
    #[inline(always)]
    fn set(x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> v128 {
        unsafe {
            match n {
                0 => zero(),
                1..LANES => some(p, n),
                _ => load(p),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, x: v128, n: usize) {
        unsafe {
            match n {
                0 => (),
                1..LANES => put(p, n, x),
                _ => store(p, x),
            }
        }
    }
    #[inline(always)]
    fn add(x: v128, y: v128) -> v128 {
        f32x4_add(x, y)
    }
    #[inline(always)]
    fn sub(x: v128, y: v128) -> v128 {
        f32x4_sub(x, y)
    }
    #[inline(always)]
    fn half(x: v128) -> v128 {
        f32x4_mul(x, set(0.5))
    }
    #[inline(always)]
    fn any_nan(x: v128) -> bool {
        v128_any_true(f32x4_ne(x, x))
    }
    transforms!("simd128");
    tiles!("simd128", 4, [1 2 3 4 4 4 4 4 4 4 4 4 4 4]);
}
