//! The transforms of `winograd`: small matrices applied down and across a square of pixels, a vector of channels at a time
//! (Lavin and Gray 2015, arXiv:1509.09308, F(2×2, 3×3)).

/// A square of pixels from `from` to one at `to`, of `n` channels; steps are from row to row and from column to column, in numbers.
/// What is read or written as `whole` has whole vectors of channels. False if a number it wrote is not finite, where it says so.
///
/// # Safety
/// The machine has the instructions; all pixels can be read and written, `to` by nobody else.
pub type Transform = unsafe fn(n: usize, from: *const f32, steps: [usize; 2], to: *mut f32, to_steps: [usize; 2]) -> bool;

/// Those of an instruction set.
pub struct Transforms {
    /// 4×4 of an image.
    pub image: Transform,
    /// 3×3 taps to 4×4, both whole.
    pub kernel: Transform,
    /// 4×4 sums of products, whole, to 2×2 results; says whether they are finite.
    pub result: Transform,
    /// 2×2 cotangents of results to 4×4.
    pub cotangent: Transform,
    /// 4×4 sums of products, whole, to the cotangents of 3×3 taps; says whether they are finite.
    pub taps: Transform,
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
        pub static TRANSFORMS: Transforms = Transforms { image, kernel, result, cotangent, taps };
    };
    ($feature:literal $name:ident $i:literal to $o:literal, $from:ident to $to:ident, |$x:ident| $line:expr) => {
        #[target_feature(enable = $feature)]
        unsafe fn $name(n: usize, from: *const f32, steps: [usize; 2], to: *mut f32, to_steps: [usize; 2]) -> bool {
            const CHECKED: bool = $o < 4;
            let mut finite = zero();
            macro_rules! vector { ($at:expr, $load:ident, $store:ident) => {
                let (from, to) = (from.add($at), to.add($at));
                let mut lines = [[zero(); $i]; $o];
                for j in 0..$i {
                    let mut $x = [zero(); $i];
                    for i in 0..$i {
                        $x[i] = $load(from.add(i * steps[0] + j * steps[1]), n - $at);
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
                        $store(to.add(k * to_steps[0] + l * to_steps[1]), line[l], n - $at);
                    }
                }
            } }
            let vectors = n / LANES * LANES;
            // SAFETY: the caller's.
            unsafe {
                for at in (0..vectors).step_by(LANES) {
                    vector!(at, load_whole, store_whole);
                }
                if vectors < n {
                    transforms!(@rest $from $to vector vectors);
                }
            }
            !any_nan(finite)
        }
    };
    (@rest part whole $vector:ident $at:ident) => { $vector!($at, load_part, store_whole); };
    (@rest whole part $vector:ident $at:ident) => { $vector!($at, load_whole, store_part); };
    (@rest whole whole $vector:ident $at:ident) => { $vector!($at, load_whole, store_whole); };
}
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
pub(super) use transforms;
