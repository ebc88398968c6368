//! The transforms of `winograd`: small matrices applied down and across a square of pixels, a vector of channels at a time. Without
//! stride they are those of Lavin and Gray 2015 (arXiv:1509.09308), F(2×2, 3×3). With stride 2, taps 0 and 2 of an axis meet other
//! pixels than tap 1 does, so that two results are made of F(2, 2), three products, and of two products more.

/// From a square of pixels of `n` channels to another; steps are from row to row and from column to column, in numbers. What is
/// transformed has whole vectors of channels. False if a number it wrote is not finite, where it says so.
///
/// Each vector is read whole before it is written, so `from` may lie in what is written, a multiple of `n` from `to`.
///
/// # Safety
/// The machine has the instructions; all pixels can be read and written, `to` by nobody else.
pub type Transform = unsafe fn(n: usize, from: *const f32, steps: [usize; 2], to: *mut f32, to_steps: [usize; 2]) -> bool;

/// A direction's transforms: of its operands' squares, and of the products to the result's squares, which says whether these are finite.
pub struct Scheme {
    pub left: Transform,
    pub right: Transform,
    pub out: Transform,
    /// Sides of the left operand's squares, of those of products, and of the others that are not the kernel: the result's, or the
    /// right operand's.
    pub sides: [usize; 3],
    /// Pixels from square to square: of the left operand, of the others.
    pub steps: [usize; 2],
    /// The products of an axis, a bit each, that the first of a square's others need, by their number: the rest is zero, or not read.
    pub needs: &'static [u8],
}

/// Those of an instruction set, without stride and with stride 2: to the result, to the input's gradient (which begins with a pixel that
/// two taps reach, or with one that tap 1 does), to the kernel's.
pub struct Transforms {
    pub ahead: [Scheme; 2],
    pub back: [Scheme; 3],
    pub kernel: [Scheme; 2],
}

/// The transforms in the vectors of the module that uses it.
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
macro_rules! transforms {
    ($feature:literal) => {
        transforms!($feature image 4 to 4, part to whole, |x| [sub(x[0], x[2]), add(x[1], x[2]), sub(x[2], x[1]), sub(x[1], x[3])]);
        transforms!($feature kernel 3 to 4, whole to whole, |x| {
            let (even, odd) = (half(add(x[0], x[2])), half(x[1]));
            [x[0], add(even, odd), sub(even, odd), x[2]]
        });
        transforms!($feature result 4 to 2, whole to part, |x| [add(x[0], add(x[1], x[2])), sub(sub(x[1], x[2]), x[3])]);
        transforms!($feature cotangent 2 to 4, part to whole, |x| [x[0], add(x[0], x[1]), sub(x[0], x[1]), sub(zero(), x[1])]);
        transforms!($feature taps 4 to 3, whole to part, |x| {
            let even = half(add(x[1], x[2]));
            [add(x[0], even), half(sub(x[1], x[2])), add(even, x[3])]
        });
        transforms!($feature strided_image 5 to 5, part to whole, |x| [sub(x[0], x[2]), x[2], sub(x[4], x[2]), x[1], x[3]]);
        transforms!($feature strided_kernel 3 to 5, whole to whole, |x| [x[0], add(x[0], x[2]), x[2], x[1], x[1]]);
        transforms!($feature strided_result 5 to 2, whole to part, |x| [add(add(x[0], x[1]), x[3]), add(add(x[1], x[2]), x[4])]);
        transforms!($feature strided_cotangent 2 to 5, part to whole, |x| [x[0], add(x[0], x[1]), x[1], x[0], x[1]]);
        transforms!($feature strided_taps 5 to 3, whole to part, |x| [add(x[0], x[1]), add(x[3], x[4]), add(x[1], x[2])]);
        transforms!($feature even_cotangent 3 to 5, part to whole, |x| [sub(x[0], x[1]), x[1], sub(x[2], x[1]), x[1], x[2]]);
        transforms!($feature even_image 5 to 4, whole to part, |x| [add(x[0], x[1]), x[3], add(x[1], x[2]), x[4]]);
        transforms!($feature odd_cotangent 3 to 5, part to whole, |x| [sub(x[0], x[1]), x[1], sub(x[2], x[1]), x[0], x[1]]);
        transforms!($feature odd_image 5 to 4, whole to part, |x| [x[3], add(x[0], x[1]), x[4], add(x[1], x[2])]);
        const EACH: &[u8] = &[0b0111, 0b1111];
        const STRIDED: &[u8] = &[0b01011, 0b11111];
        const EVEN: &[u8] = &[0b00011, 0b01011, 0b01111, 0b11111];
        const ODD: &[u8] = &[0b01000, 0b01011, 0b11011, 0b11111];
        const PLAIN: Scheme = Scheme { left: image, right: kernel, out: result, sides: [4, 4, 2], steps: [2, 2], needs: EACH };
        pub static TRANSFORMS: Transforms = Transforms {
            ahead: [
                PLAIN,
                Scheme { left: strided_image, right: strided_kernel, out: strided_result, sides: [5, 5, 2], steps: [4, 2], needs: STRIDED },
            ],
            back: [
                PLAIN,
                Scheme { left: even_cotangent, right: strided_kernel, out: even_image, sides: [3, 5, 4], steps: [2, 4], needs: EVEN },
                Scheme { left: odd_cotangent, right: strided_kernel, out: odd_image, sides: [3, 5, 4], steps: [2, 4], needs: ODD },
            ],
            kernel: [
                Scheme { left: image, right: cotangent, out: taps, sides: [4, 4, 2], steps: [2, 2], needs: EACH },
                Scheme { left: strided_image, right: strided_cotangent, out: strided_taps, sides: [5, 5, 2], steps: [4, 2], needs: STRIDED },
            ],
        };
    };
    ($feature:literal $name:ident $i:literal to $o:literal, $from:ident to $to:ident, |$x:ident| $line:expr) => {
        #[target_feature(enable = $feature)]
        unsafe fn $name(n: usize, from: *const f32, steps: [usize; 2], to: *mut f32, to_steps: [usize; 2]) -> bool {
            const CHECKED: bool = transforms!(@results $to);
            let mut finite = zero();
            macro_rules! vector { ($at:expr, $loads:ident, $stores:ident) => {
                let (from, to) = (from.add($at), to.add($at));
                let mut lines = [[zero(); $i]; $o];
                for j in 0..$i {
                    let mut $x = [zero(); $i];
                    for i in 0..$i {
                        $x[i] = transforms!(@load $loads from.add(i * steps[0] + j * steps[1]), n - $at);
                    }
                    let line = $line;
                    for k in 0..$o {
                        lines[k][j] = line[k];
                    }
                }
                for k in 0..$o {
                    let $x = lines[k];
                    let line = $line;
                    for l in 0..$o {
                        if CHECKED {
                            finite = fma(line[l], zero(), finite);
                        }
                        transforms!(@store $stores to.add(k * to_steps[0] + l * to_steps[1]), line[l], n - $at);
                    }
                }
            } }
            let vectors = n / LANES * LANES;
            // SAFETY: the caller's.
            unsafe {
                for at in (0..vectors).step_by(LANES) {
                    vector!(at, whole, whole);
                }
                if vectors < n {
                    vector!(vectors, $from, $to);
                }
            }
            !any_nan(finite)
        }
    };
    (@results part) => { true };
    (@results whole) => { false };
    (@load whole $p:expr, $n:expr) => { load($p) };
    (@load part $p:expr, $n:expr) => { load_part($p, $n) };
    (@store whole $p:expr, $x:expr, $n:expr) => { store($p, $x) };
    (@store part $p:expr, $x:expr, $n:expr) => { store_part($p, $x, $n) };
}
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
pub(in crate::conv) use transforms;
