//! Products of f32 matrices on AVX-512: tiles of 12 rows and 32 columns, whose sums stay in registers. The right operand is
//! read in panels of 32 columns, packed where it does not lie so; the left one is read element by element, with any strides.
use std::arch::x86_64::*;

type V = __m512;

/// Columns of a panel.
pub const WIDTH: usize = 32;
/// Rows of a tile: 24 sums, which leaves registers for the operands.
const ROWS: usize = 12;
/// Longer sums are made in parts, so that a panel stays in the second cache.
const DEPTH: usize = 512;

/// Where a matrix lies: first element, row and column strides.
#[derive(Clone, Copy)]
pub struct Matrix { pub data: *const f32, pub rows: isize, pub cols: isize }

/// The part of a product that one chunk makes: rows `from..to` of one panel of `width` columns.
#[derive(Clone, Copy)]
pub struct Piece { pub from: usize, pub to: usize, pub column: usize, pub width: usize, pub depth: usize }

/// `out[i, j] = Σ a[i, l] b[l, j]` for a piece; `stride` is that of the result's rows.
///
/// # Safety
/// The machine has AVX-512; the matrices hold what the piece names, and nobody else writes its elements of `out`.
#[target_feature(enable = "avx512f")]
pub unsafe fn piece(p: Piece, a: Matrix, b: Matrix, out: *mut f32, stride: usize) {
    // SAFETY: the caller's.
    unsafe {
        let rows = p.to - p.from;
        let b_at = |l: usize| b.data.offset(l as isize * b.rows + p.column as isize * b.cols);
        // Rows of whole panels may be read where they lie, unless they are far apart and read often.
        let direct = b.cols == 1 && p.width == WIDTH && (rows <= 4 * ROWS || b.rows.unsigned_abs() <= 128);
        let mut packed: Vec<f32> = if direct { Vec::new() } else { Vec::with_capacity(DEPTH.min(p.depth) * WIDTH) };
        let mut l = 0;
        while l < p.depth {
            let depth = DEPTH.min(p.depth - l);
            let (panel, ldb) = if direct { (b_at(l), b.rows as usize) } else { pack(b_at(l), b, depth, p.width, packed.as_mut_ptr()); (packed.as_ptr(), WIDTH) };
            let mut i = p.from;
            while i < p.to {
                let n = ROWS.min(p.to - i);
                let left = a.data.offset(i as isize * a.rows + l as isize * a.cols);
                let to = out.add(i * stride + p.column);
                macro_rules! tiles { ($($r:literal)*) => { match n { $($r => tile::<$r>(depth, left, a.rows, a.cols, panel, ldb, to, stride, p.width, l > 0),)* _ => {} } } }
                tiles!(1 2 3 4 5 6 7 8 9 10 11 12);
                i += n;
            }
            l += depth;
        }
    }
}

/// Copies `depth` rows of `width` columns into a panel, zeros beyond.
#[target_feature(enable = "avx512f")]
unsafe fn pack(src: *const f32, b: Matrix, depth: usize, width: usize, to: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        if b.cols == 1 {
            let (low, high) = masks(width);
            for l in 0..depth {
                let row = src.offset(l as isize * b.rows);
                _mm512_storeu_ps(to.add(l * WIDTH), _mm512_maskz_loadu_ps(low, row));
                _mm512_storeu_ps(to.add(l * WIDTH + 16), if high == 0 { _mm512_setzero_ps() } else { _mm512_maskz_loadu_ps(high, row.add(16)) });
            }
            return;
        }
        let mut l = 0;
        if b.rows == 1 && width == WIDTH {
            while l + 16 <= depth {
                for half in 0..2 { transpose(src.add(l).offset(16 * half as isize * b.cols), b.cols, to.add(l * WIDTH + 16 * half)); }
                l += 16;
            }
        }
        for l in l..depth {
            for j in 0..WIDTH { *to.add(l * WIDTH + j) = if j < width { *src.offset(l as isize * b.rows + j as isize * b.cols) } else { 0.0 }; }
        }
    }
}

/// 16 rows of 16 numbers, `stride` apart, as 16 columns of a panel.
#[target_feature(enable = "avx512f")]
unsafe fn transpose(src: *const f32, stride: isize, to: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        let mut r = [_mm512_setzero_ps(); 16];
        for (i, r) in r.iter_mut().enumerate() { *r = _mm512_loadu_ps(src.offset(i as isize * stride)); }
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
            (r[k], r[k + 1], r[k + 2], r[k + 3]) = (pairs(t[k], t[k + 2], false), pairs(t[k], t[k + 2], true), pairs(t[k + 1], t[k + 3], false), pairs(t[k + 1], t[k + 3], true));
        }
        for c in 0..4 {
            let even = (_mm512_shuffle_f32x4::<0x88>(r[c], r[4 + c]), _mm512_shuffle_f32x4::<0x88>(r[8 + c], r[12 + c]));
            let odd = (_mm512_shuffle_f32x4::<0xdd>(r[c], r[4 + c]), _mm512_shuffle_f32x4::<0xdd>(r[8 + c], r[12 + c]));
            _mm512_storeu_ps(to.add(c * WIDTH), _mm512_shuffle_f32x4::<0x88>(even.0, even.1));
            _mm512_storeu_ps(to.add((c + 4) * WIDTH), _mm512_shuffle_f32x4::<0x88>(odd.0, odd.1));
            _mm512_storeu_ps(to.add((c + 8) * WIDTH), _mm512_shuffle_f32x4::<0xdd>(even.0, even.1));
            _mm512_storeu_ps(to.add((c + 12) * WIDTH), _mm512_shuffle_f32x4::<0xdd>(odd.0, odd.1));
        }
    }
}

/// Which of a panel's columns there are, in halves.
fn masks(width: usize) -> (__mmask16, __mmask16) {
    let bits = if width >= 32 { u32::MAX } else { (1u32 << width) - 1 };
    (bits as u16, (bits >> 16) as u16)
}

#[inline(never)]
#[allow(clippy::too_many_arguments)]
#[target_feature(enable = "avx512f")]
unsafe fn tile<const R: usize>(depth: usize, a: *const f32, rows: isize, cols: isize, b: *const f32, ldb: usize, out: *mut f32, stride: usize, width: usize, add: bool) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        // Groups of three rows keep the addresses in few registers; unrolled by hand, since the compiler keeps longer loops in memory.
        let (mut q0, mut q1, mut q2, mut q3) = (a, a.wrapping_offset(3 * rows), a.wrapping_offset(6 * rows), a.wrapping_offset(9 * rows));
        let mut panel = b;
        for _ in 0..depth {
            let (b0, b1) = (_mm512_loadu_ps(panel), _mm512_loadu_ps(panel.add(16)));
            macro_rules! rows { ($($i:literal $q:ident $o:literal;)*) => { $(if $i < R {
                let x = _mm512_set1_ps(*$q.wrapping_offset($o * rows));
                let s = sums.get_unchecked_mut($i);
                s[0] = _mm512_fmadd_ps(x, b0, s[0]);
                s[1] = _mm512_fmadd_ps(x, b1, s[1]);
            })* } }
            rows! { 0 q0 0; 1 q0 1; 2 q0 2; 3 q1 0; 4 q1 1; 5 q1 2; 6 q2 0; 7 q2 1; 8 q2 2; 9 q3 0; 10 q3 1; 11 q3 2; }
            (q0, q1, q2, q3) = (q0.wrapping_offset(cols), q1.wrapping_offset(cols), q2.wrapping_offset(cols), q3.wrapping_offset(cols));
            panel = panel.wrapping_add(ldb);
        }
        let (low, high) = masks(width);
        for (i, s) in sums.iter().enumerate() {
            let to = out.add(i * stride);
            let (mut x, mut y) = (s[0], s[1]);
            if add { x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(low, to)); }
            _mm512_mask_storeu_ps(to, low, x);
            if high != 0 {
                if add { y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(high, to.add(16))); }
                _mm512_mask_storeu_ps(to.add(16), high, y);
            }
        }
    }
}
