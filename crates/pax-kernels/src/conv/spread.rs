//! The gradient of an input of few channels, which would leave most of a vector idle: every result pixel's cotangents times
//! all taps at once, whose kernel rows are then added where they lie in the input.
use super::direct::Direct;
use super::passes::Walk;
use super::tile::{Out, Sum, ROWS};

impl Direct {
    /// # Safety
    /// As for `image`.
    pub(super) unsafe fn spread(&self, dy: *const f32, packed: *const f32, dx: *mut f32, scratch: *mut f32) {
        let (window, c, o, lanes, tall) = (&self.ahead.window, self.back.wide, self.back.depth, self.tiles.lanes, self.tiles.rows);
        let (stretch, pitch, pixels, all) = (self.kernel[1] * c, window.size[1] * c, self.ahead.pixels, self.spread_width());
        let (mut rows, mut to, mut places) = ([0; ROWS], [0; ROWS], [0; ROWS]);
        for (r, (row, to)) in rows.iter_mut().zip(&mut to).enumerate() {
            (*row, *to) = (r * o, r * all);
        }
        let mut walk = Walk::new(0, self.out[1], [self.stride[0] * pitch, self.stride[1] * c]);
        // SAFETY: the caller's; a tile's products lie behind the window.
        unsafe {
            scratch.write_bytes(0, window.floats());
            let products = scratch.add(window.floats());
            for i in (0..pixels).step_by(tall) {
                let n = tall.min(pixels - i);
                for place in &mut places[..n] {
                    *place = walk.step();
                }
                for (column, _, vectors) in self.panels(all) {
                    let (width, b) = (vectors * lanes, packed.add(o * column));
                    let sum = Sum { runs: 1, len: o, a: [1, 0], b: [width, 0] };
                    self.tiles.tiles[vectors - 1][n - 1](
                        &sum,
                        dy.add(i * o),
                        &rows,
                        b,
                        Out { data: products.add(column), rows: &to, width, add: false },
                    );
                }
                for (r, place) in places[..n].iter().enumerate() {
                    for t in 0..self.kernel[0] {
                        let (at, products) = (scratch.add(place + t * pitch), products.add(r * all + t * stretch));
                        for j in 0..stretch {
                            *at.add(j) += *products.add(j);
                        }
                    }
                }
            }
            window.back(scratch, dx);
        }
    }
}
