//! The operations of the kernels on what every machine has: 4 rows of two vectors of 16 bytes, which the compiler makes of arrays.
macro_rules! operations {
    ($t:ty, $lanes:literal) => {
        const LANES: usize = $lanes;
        type V = [$t; LANES];
        #[inline(always)]
        fn mask(n: usize) -> usize {
            n
        }
        #[inline(always)]
        fn zero() -> V {
            [0.0; LANES]
        }
        #[inline(always)]
        fn splat(x: $t) -> V {
            [x; LANES]
        }
        #[inline(always)]
        unsafe fn load(p: *const $t) -> V {
            unsafe { p.cast::<V>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn load_part(p: *const $t, n: usize) -> V {
            std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
        }
        #[inline(always)]
        unsafe fn store(p: *mut $t, v: V) {
            unsafe { p.cast::<V>().write_unaligned(v) }
        }
        #[inline(always)]
        unsafe fn store_part(p: *mut $t, n: usize, v: V) {
            for (i, v) in v.iter().enumerate().take(n) {
                unsafe { *p.add(i) = *v }
            }
        }
        #[inline(always)]
        fn fma(a: V, b: V, c: V) -> V {
            std::array::from_fn(|i| if cfg!(target_arch = "aarch64") { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] })
        }
        #[inline(always)]
        fn sum(a: V, b: V) -> V {
            std::array::from_fn(|i| a[i] + b[i])
        }
    };
}

pub mod single {
    use super::super::{blocks, kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    operations!(f32, 4);
    kernel!(f32, strips 1, rows 4: 1 2 3);
    blocks!(f32);
}

pub mod double {
    use super::super::{blocks, kernel, Ahead, Matrix, Micro, Piece, DEPTH, FEW, PACKED, PAGE, ROWS, TILED, WAYS};
    operations!(f64, 2);
    kernel!(f64, strips 1, rows 4: 1 2 3);
    blocks!(f64);
}
