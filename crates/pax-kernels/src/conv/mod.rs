//! Convolution without a patch matrix, channels last, in f32: an image a call (`direct`), with fewer products where that pays (`winograd`),
//! of each channel by itself (`depthwise`).
mod depthwise;
mod direct;
mod direction;
mod kernel_grad;
mod pack;
mod passes;
mod spread;
#[cfg(test)]
mod tests;
#[cfg_attr(not(any(target_arch = "x86_64", target_feature = "simd128")), allow(dead_code))] // nothing runs there that would read them
mod tile;
mod window;
mod winograd;

pub use direction::{Direction, Which};

/// Sizes of one convolution; one spatial axis is two with a first of size 1.
#[derive(Clone, Debug)]
pub struct Geometry {
    pub n: usize,
    pub input: [usize; 2],
    pub out: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [i64; 2],
    pub low: [i64; 2],
    pub dilation: [i64; 2],
    pub kernel_dilation: [i64; 2],
    pub c: usize,
    pub o: usize,
    pub groups: usize,
}

impl Geometry {
    pub fn cg(&self) -> usize {
        self.c / self.groups.max(1)
    }
    pub fn og(&self) -> usize {
        self.o / self.groups.max(1)
    }
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
    pub fn pixels(&self) -> usize {
        self.out[0] * self.out[1]
    }
    /// The input index that output `j` reads at tap `t` of axis `d`; none in padding and between dilated elements.
    pub fn source(&self, d: usize, j: usize, t: usize) -> Option<usize> {
        let at = j as i64 * self.stride[d] - self.low[d] + t as i64 * self.kernel_dilation[d];
        if at < 0 || at % self.dilation[d] != 0 {
            return None;
        }
        Some((at / self.dilation[d]) as usize).filter(|&i| i < self.input[d])
    }
}
