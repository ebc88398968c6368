//! The operations of the kernels on AVX2: 6 rows of two vectors, 12 sums of the 16 registers.
macro_rules! operations {
    ($t:ty, $v:ident, $lanes:literal, $bits:ty, $zero:ident $splat:ident $load:ident $load_part:ident $store:ident $store_part:ident $fma:ident $sum:ident) => {
        type V = $v;
        const LANES: usize = $lanes;
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn mask(n: usize) -> __m256i {
            let mut on = [0 as $bits; LANES];
            on[..n].fill(-1);
            // SAFETY: the array is as large as the vector.
            unsafe { _mm256_loadu_si256(on.as_ptr().cast()) }
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn zero() -> V {
            $zero()
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn splat(x: $t) -> V {
            $splat(x)
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn load(p: *const $t) -> V {
            unsafe { $load(p) }
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn load_part(p: *const $t, m: __m256i) -> V {
            unsafe { $load_part(p, m) }
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn store(p: *mut $t, v: V) {
            unsafe { $store(p, v) }
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn store_part(p: *mut $t, m: __m256i, v: V) {
            unsafe { $store_part(p, m, v) }
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn fma(a: V, b: V, c: V) -> V {
            $fma(a, b, c)
        }
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn sum(a: V, b: V) -> V {
            $sum(a, b)
        }
    };
}

pub mod single {
    use super::super::{kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    use std::arch::x86_64::*;

    operations!(f32, __m256, 8, i32, _mm256_setzero_ps _mm256_set1_ps _mm256_loadu_ps _mm256_maskload_ps _mm256_storeu_ps _mm256_maskstore_ps _mm256_fmadd_ps _mm256_add_ps);
    kernel!(f32, [target_feature(enable = "avx2,fma")] strips 1, rows 6: 1 2 3 4 5);

    const BLOCK: usize = 8;

    /// 8 columns of 8 numbers, `stride` apart, as 8 rows of a panel.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn block(src: *const f32, stride: isize, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            let mut r = [zero(); 8];
            for (i, r) in r.iter_mut().enumerate() {
                *r = load(src.offset(i as isize * stride));
            }
            let mut t = r;
            for i in 0..4 {
                t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            for i in 0..2 {
                let k = 4 * i;
                r[k] = _mm256_shuffle_ps::<0x44>(t[k], t[k + 2]);
                r[k + 1] = _mm256_shuffle_ps::<0xee>(t[k], t[k + 2]);
                r[k + 2] = _mm256_shuffle_ps::<0x44>(t[k + 1], t[k + 3]);
                r[k + 3] = _mm256_shuffle_ps::<0xee>(t[k + 1], t[k + 3]);
            }
            for c in 0..4 {
                store(to.add(c * WIDTH), _mm256_permute2f128_ps::<0x20>(r[c], r[c + 4]));
                store(to.add((c + 4) * WIDTH), _mm256_permute2f128_ps::<0x31>(r[c], r[c + 4]));
            }
        }
    }
}

pub mod double {
    use super::super::{blocks, kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    use std::arch::x86_64::*;

    operations!(f64, __m256d, 4, i64, _mm256_setzero_pd _mm256_set1_pd _mm256_loadu_pd _mm256_maskload_pd _mm256_storeu_pd _mm256_maskstore_pd _mm256_fmadd_pd _mm256_add_pd);
    kernel!(f64, [target_feature(enable = "avx2,fma")] strips 2, rows 6: 1 2 3 4 5);
    blocks!(f64);
}
