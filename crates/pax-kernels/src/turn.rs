//! Copies of what lies across memory, as a transposed matrix does.

/// Rows and columns that are turned at once: a line of elements of four bytes.
const SIDE: usize = 16;

/// Matrices of `rows` by `len` elements whose columns lie along memory, `step` elements apart; `outer`: sizes and strides of the axes before.
#[derive(Clone, Copy)]
pub struct Turned<'a> {
    outer: &'a [(usize, isize)],
    rows: usize,
    len: usize,
    step: isize,
}

impl<'a> Turned<'a> {
    /// Of a view's axes, merged where they lie together: its rows lie across memory, and those of an axis before lie along it.
    pub fn of(axes: &'a [(usize, isize)]) -> Option<Turned<'a>> {
        match *axes {
            [ref outer @ .., (rows, 1), (len, step)] if rows > 1 && step > 1 => Some(Turned { outer, rows, len, step }),
            _ => None,
        }
    }
    /// Elements that are best copied together.
    pub fn grain(self) -> usize {
        SIDE * self.len.max(1)
    }

    /// Copies `n` elements of `size` bytes from the `from`th on: squares, so that a line is read once for all rows that have a part of it.
    /// # Safety
    /// They lie there, and `to` has room for them.
    pub unsafe fn copy(&self, size: usize, start: *const u8, from: usize, n: usize, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe {
            match size {
                1 => self.copy_as::<u8>(start.cast(), from, n, to.cast()),
                2 => self.copy_as::<u16>(start.cast(), from, n, to.cast()),
                4 => self.copy_as::<u32>(start.cast(), from, n, to.cast()),
                _ => self.copy_as::<u64>(start.cast(), from, n, to.cast()),
            }
        }
    }

    unsafe fn copy_as<B: Copy>(&self, start: *const B, from: usize, n: usize, to: *mut B) {
        let &Turned { outer, rows: m, len, step } = self;
        if n == 0 {
            return;
        }
        let (mut row, mut at, mut done) = (from / len, from % len, 0);
        while done < n {
            let mut rest = row / m;
            let outside = outer.iter().rev().fold(0, |sum, &(m, s)| {
                let i = rest % m;
                rest /= m;
                sum + i as isize * s
            });
            let rows = if at == 0 { SIDE.min(m - row % m).min((n - done) / len) } else { 0 };
            // SAFETY: the caller's.
            unsafe {
                let (src, dst) = (start.offset(outside + (row % m) as isize), to.add(done));
                if rows < 2 {
                    let some = (len - at).min(n - done);
                    for j in 0..some {
                        *dst.add(j) = *src.offset((at + j) as isize * step);
                    }
                    (row, at, done) = (row + 1, 0, done + some);
                    continue;
                }
                for j in (0..len).step_by(SIDE) {
                    if rows == SIDE && j + SIDE <= len {
                        let square: [[B; SIDE]; SIDE] = std::array::from_fn(|l| *src.offset((j + l) as isize * step).cast());
                        let turned: [[B; SIDE]; SIDE] = std::array::from_fn(|k| std::array::from_fn(|l| square[l][k]));
                        for (k, row) in turned.iter().enumerate() {
                            *dst.add(k * len + j).cast() = *row;
                        }
                        continue;
                    }
                    for k in 0..rows {
                        for l in j..len.min(j + SIDE) {
                            *dst.add(k * len + l) = *src.offset(l as isize * step + k as isize);
                        }
                    }
                }
                (row, done) = (row + rows, done + rows * len);
            }
        }
    }
}
