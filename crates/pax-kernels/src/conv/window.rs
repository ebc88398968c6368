//! The part of an image that a convolution reads, with zeros where it reaches beyond.

/// A window of `size` pixels whose first lies at `origin` of an image `[image, channels]`.
pub struct Window {
    pub origin: [i64; 2],
    pub size: [usize; 2],
    pub image: [usize; 2],
    pub channels: usize,
}

impl Window {
    /// True if the image has all of it, so that it is read where it lies.
    fn inside(&self) -> bool {
        (0..2).all(|d| self.origin[d] >= 0 && self.origin[d] + self.size[d] as i64 <= self.image[d] as i64)
    }
    /// Its numbers.
    pub fn floats(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }
    /// Numbers of the copy, if there must be one.
    pub fn copied(&self) -> usize {
        if self.inside() {
            0
        } else {
            self.floats()
        }
    }
    /// Numbers from row to row.
    pub fn pitch(&self) -> usize {
        self.channels * if self.inside() { self.image[1] } else { self.size[1] }
    }
    /// False if it is so much larger than its image that a copy would not pay, or not be possible.
    pub fn moderate(&self) -> bool {
        let most = (4 * self.image[0] * self.image[1] + 1024).min((1 << 28) / self.channels);
        self.size[0].checked_mul(self.size[1]).is_some_and(|n| n <= most)
    }
    /// Along an axis: pixels before the image, pixels of the image, and where they begin there.
    fn part(&self, d: usize) -> (usize, usize, usize) {
        let (from, to) = (self.origin[d].max(0), (self.origin[d] + self.size[d] as i64).min(self.image[d] as i64));
        if to <= from {
            (0, 0, 0)
        } else {
            ((from - self.origin[d]) as usize, (to - from) as usize, from as usize)
        }
    }
    /// Where its first pixel is: in the image, or in a copy.
    ///
    /// # Safety
    /// `image` can be read, and `copied()` numbers can be written at `copy`.
    pub unsafe fn of(&self, image: *const f32, copy: *mut f32) -> *const f32 {
        let c = self.channels;
        let ((above, rows, y), (left, columns, x)) = (self.part(0), self.part(1));
        // SAFETY: the caller's; rows and columns are those that both the image and the window have.
        unsafe {
            if self.inside() {
                return image.add((y * self.image[1] + x) * c);
            }
            let pitch = self.size[1] * c;
            for i in 0..self.size[0] {
                let to = copy.add(i * pitch);
                if i < above || i >= above + rows {
                    to.write_bytes(0, pitch);
                    continue;
                }
                to.write_bytes(0, left * c);
                std::ptr::copy_nonoverlapping(image.add(((y + i - above) * self.image[1] + x) * c), to.add(left * c), columns * c);
                to.add((left + columns) * c).write_bytes(0, pitch - (left + columns) * c);
            }
        }
        copy
    }
    /// Writes what a copy holds to the image, zeros where it has nothing.
    ///
    /// # Safety
    /// `copy` holds the window, `image` its pixels.
    pub unsafe fn back(&self, copy: *const f32, image: *mut f32) {
        let (c, (above, rows, y), (left, columns, x)) = (self.channels, self.part(0), self.part(1));
        let pitch = self.image[1] * c;
        // SAFETY: the caller's; rows and columns are those that both have.
        unsafe {
            for i in 0..self.image[0] {
                let to = image.add(i * pitch);
                if i < y || i >= y + rows {
                    to.write_bytes(0, pitch);
                    continue;
                }
                to.write_bytes(0, x * c);
                std::ptr::copy_nonoverlapping(copy.add(((above + i - y) * self.size[1] + left) * c), to.add(x * c), columns * c);
                to.add((x + columns) * c).write_bytes(0, pitch - (x + columns) * c);
            }
        }
    }
}
