//! The operations of the kernels on AVX-512: 12 rows of two vectors, 24 sums, which leaves registers for the operands.
macro_rules! operations {
    ($t:ty, $v:ident, $mask:ident, $lanes:literal, $zero:ident $splat:ident $load:ident $load_part:ident $store:ident $store_part:ident $fma:ident $sum:ident) => {
        type V = $v;
        const LANES: usize = $lanes;
        #[inline]
        fn mask(n: usize) -> $mask {
            ((1u32 << n) - 1) as $mask
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn zero() -> V {
            $zero()
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn splat(x: $t) -> V {
            $splat(x)
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(p: *const $t) -> V {
            unsafe { $load(p) }
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load_part(p: *const $t, m: $mask) -> V {
            unsafe { $load_part(m, p) }
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn store(p: *mut $t, v: V) {
            unsafe { $store(p, v) }
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn store_part(p: *mut $t, m: $mask, v: V) {
            unsafe { $store_part(p, m, v) }
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn fma(a: V, b: V, c: V) -> V {
            $fma(a, b, c)
        }
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn sum(a: V, b: V) -> V {
            $sum(a, b)
        }
    };
}

pub mod single {
    use super::super::{kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    use std::arch::x86_64::*;

    operations!(f32, __m512, __mmask16, 16, _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps _mm512_maskz_loadu_ps _mm512_storeu_ps _mm512_mask_storeu_ps _mm512_fmadd_ps _mm512_add_ps);
    kernel!(f32, [target_feature(enable = "avx512f")] strips 1, rows 12: 1 2 3 4 5 6 7 8 9 10 11);

    const BLOCK: usize = 16;

    /// 16 columns of 16 numbers, `stride` apart, as 16 rows of a panel.
    #[target_feature(enable = "avx512f")]
    unsafe fn block(src: *const f32, stride: isize, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            let mut r = [zero(); 16];
            for (i, r) in r.iter_mut().enumerate() {
                *r = load(src.offset(i as isize * stride));
            }
            let mut t = r;
            for i in 0..8 {
                t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            let pairs = |a: V, b: V, high: bool| {
                let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
                _mm512_castpd_ps(if high { _mm512_unpackhi_pd(a, b) } else { _mm512_unpacklo_pd(a, b) })
            };
            for i in 0..4 {
                let k = 4 * i;
                (r[k], r[k + 1], r[k + 2], r[k + 3]) = (
                    pairs(t[k], t[k + 2], false),
                    pairs(t[k], t[k + 2], true),
                    pairs(t[k + 1], t[k + 3], false),
                    pairs(t[k + 1], t[k + 3], true),
                );
            }
            for c in 0..4 {
                let even = (_mm512_shuffle_f32x4::<0x88>(r[c], r[4 + c]), _mm512_shuffle_f32x4::<0x88>(r[8 + c], r[12 + c]));
                let odd = (_mm512_shuffle_f32x4::<0xdd>(r[c], r[4 + c]), _mm512_shuffle_f32x4::<0xdd>(r[8 + c], r[12 + c]));
                store(to.add(c * WIDTH), _mm512_shuffle_f32x4::<0x88>(even.0, even.1));
                store(to.add((c + 4) * WIDTH), _mm512_shuffle_f32x4::<0x88>(odd.0, odd.1));
                store(to.add((c + 8) * WIDTH), _mm512_shuffle_f32x4::<0xdd>(even.0, even.1));
                store(to.add((c + 12) * WIDTH), _mm512_shuffle_f32x4::<0xdd>(odd.0, odd.1));
            }
        }
    }
}

pub mod double {
    use super::super::{blocks, kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    use std::arch::x86_64::*;

    operations!(f64, __m512d, __mmask8, 8, _mm512_setzero_pd _mm512_set1_pd _mm512_loadu_pd _mm512_maskz_loadu_pd _mm512_storeu_pd _mm512_mask_storeu_pd _mm512_fmadd_pd _mm512_add_pd);
    kernel!(f64, [target_feature(enable = "avx512f")] strips 2, rows 12: 1 2 3 4 5 6 7 8 9 10 11);
    blocks!(f64);
}
