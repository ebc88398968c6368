//! The gradient of an input of few channels, which would leave most of a vector idle: every result pixel's cotangents times a
//! kernel row give one stretch of the input, which is added there.
use super::direct::Direct;
use super::passes::Walk;
use super::tile::{Out, Sum, ROWS};

impl Direct {
    /// # Safety
    /// As for `input_grad`.
    pub(super) unsafe fn spread(&self, dy: *const f32, packed: *const f32, dx: *mut f32, scratch: *mut f32) {
        let (window, c, o, lanes, tall) = (&self.ahead.window, self.back.wide, self.back.depth, self.tiles.lanes, self.tiles.rows);
        let (stretch, pitch, pixels) = (self.kernel[1] * c, window.size[1] * c, self.ahead.pixels);
        let (mut rows, mut to, mut places) = ([0; ROWS], [0; ROWS], [0; ROWS]);
        for (r, (row, to)) in rows.iter_mut().zip(&mut to).enumerate() { (*row, *to) = (r * o, r * 2 * lanes); }
        let mut walk = Walk::new(0, self.out[1], [self.stride[0] * pitch, self.stride[1] * c]);
        // SAFETY: the caller's; a tile's products lie behind the window.
        unsafe {
            scratch.write_bytes(0, window.floats());
            let products = scratch.add(window.floats());
            for i in (0..pixels).step_by(tall) {
                let n = tall.min(pixels - i);
                for place in &mut places[..n] { *place = walk.step(); }
                for t in 0..self.kernel[0] { for (column, width, vectors) in self.panels(stretch) {
                    let sum = Sum { runs: 1, len: o, a: [1, 0], b: [vectors * lanes, 0] };
                    let b = packed.add(o * (t * stretch.next_multiple_of(lanes) + column));
                    self.tiles.tiles[vectors - 1][n - 1](&sum, dy.add(i * o), &rows, b, Out { data: products, rows: &to, width, add: false });
                    for (r, place) in places[..n].iter().enumerate() {
                        let (at, products) = (scratch.add(place + t * pitch + column), products.add(r * 2 * lanes));
                        for j in 0..width { *at.add(j) += *products.add(j); }
                    }
                } }
            }
            window.back(scratch, dx);
        }
    }
}
