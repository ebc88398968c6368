//! The operations of the kernels on WebAssembly: 4 rows of two vectors. Engines have 15 registers for vectors, and the compiler reads
//! all operands of a step before its multiply-adds: 8 sums, 4 and 2 operands are what they hold.
macro_rules! operations {
    ($t:ty, $lanes:literal, $splat:ident $fma:ident $mul:ident $sum:ident) => {
        type V = v128;
        pub const LANES: usize = $lanes;
        #[inline(always)]
        fn mask(n: usize) -> usize {
            n
        }
        #[inline(always)]
        pub fn zero() -> V {
            $splat(0.0)
        }
        #[inline(always)]
        fn splat(x: $t) -> V {
            $splat(x)
        }
        #[inline(always)]
        pub unsafe fn load(p: *const $t) -> V {
            unsafe { v128_load(p.cast()) }
        }
        #[inline(always)]
        pub unsafe fn store(p: *mut $t, v: V) {
            unsafe { v128_store(p.cast(), v) }
        }
        /// One rounding or two, as the machine has it: the same everywhere on it.
        #[inline(always)]
        pub fn fma(a: V, b: V, c: V) -> V {
            #[cfg(target_feature = "relaxed-simd")]
            return $fma(a, b, c);
            #[cfg(not(target_feature = "relaxed-simd"))]
            $sum($mul(a, b), c)
        }
        #[inline(always)]
        fn sum(a: V, b: V) -> V {
            $sum(a, b)
        }
    };
}

pub mod single {
    use super::super::{kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    use std::arch::wasm32::*;

    operations!(f32, 4, f32x4_splat f32x4_relaxed_madd f32x4_mul f32x4_add);

    #[inline(always)]
    pub unsafe fn load_part(p: *const f32, n: usize) -> V {
        // SAFETY: the caller's.
        unsafe {
            match n {
                1 => v128_load32_zero(p.cast()),
                2 => v128_load64_zero(p.cast()),
                _ => v128_load32_lane::<2>(v128_load64_zero(p.cast()), p.add(2).cast()),
            }
        }
    }
    #[inline(always)]
    pub unsafe fn store_part(p: *mut f32, n: usize, v: V) {
        // SAFETY: the caller's.
        unsafe {
            if n == 1 {
                return v128_store32_lane::<0>(v, p.cast());
            }
            v128_store64_lane::<0>(v, p.cast());
            if n == 3 {
                v128_store32_lane::<2>(v, p.add(2).cast());
            }
        }
    }
    kernel!(f32, strips 4, rows 4: 1 2 3);

    const BLOCK: usize = 4;

    /// 4 columns of 4 numbers, `stride` apart, as 4 rows of a panel.
    #[inline(always)]
    unsafe fn block(src: *const f32, stride: isize, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            let (a, b, c, d) = (load(src), load(src.offset(stride)), load(src.offset(2 * stride)), load(src.offset(3 * stride)));
            let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
            let (ef, gh) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
            store(to, i64x2_shuffle::<0, 2>(ab, cd));
            store(to.add(WIDTH), i64x2_shuffle::<1, 3>(ab, cd));
            store(to.add(2 * WIDTH), i64x2_shuffle::<0, 2>(ef, gh));
            store(to.add(3 * WIDTH), i64x2_shuffle::<1, 3>(ef, gh));
        }
    }
}

pub mod double {
    use super::super::{blocks, kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    use std::arch::wasm32::*;

    operations!(f64, 2, f64x2_splat f64x2_relaxed_madd f64x2_mul f64x2_add);

    /// The only part of a vector is its first number.
    #[inline(always)]
    unsafe fn load_part(p: *const f64, _n: usize) -> V {
        unsafe { v128_load64_zero(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f64, _n: usize, v: V) {
        unsafe { v128_store64_lane::<0>(v, p.cast()) }
    }
    kernel!(f64, strips 4, rows 4: 1 2 3);
    blocks!(f64);
}
