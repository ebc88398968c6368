//! Sliding windows: maxima, sums and their transposes. Axes that no window moves along are merged: those in front are
//! the examples that chunks split, those at the end are rows of channels that the inner loops run over.
use crate::dtype::Element;
use crate::exec::{Exec, Shared};
use crate::ops::elementwise::binary::Number;

/// An axis that windows move along.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub size: usize,
    pub out: usize,
    pub window: i64,
    pub stride: i64,
    pub low: i64,
}

impl Axis {
    /// A window here is one element at its own place.
    fn plain(&self) -> bool {
        self.window == 1 && self.stride == 1 && self.low == 0 && self.out == self.size
    }
    /// The elements that window `o` covers.
    fn covers(&self, o: usize) -> (usize, usize) {
        let start = o as i64 * self.stride - self.low;
        let clamp = |v: i64| v.clamp(0, self.size as i64) as usize;
        (clamp(start), clamp(start + self.window))
    }
}

/// All axes of one row.
pub struct Windows {
    examples: usize,
    axes: Vec<Axis>,
    channels: usize,
}

impl Windows {
    pub fn new(all: &[Axis]) -> Windows {
        let tail = all.iter().rev().take_while(|a| a.plain()).count();
        let moving = &all[..all.len() - tail];
        let front = moving.iter().take_while(|a| a.plain()).count();
        let size = |axes: &[Axis]| axes.iter().map(|a| a.size).product();
        Windows { examples: size(&all[..front]), axes: moving[front..].to_vec(), channels: size(&all[all.len() - tail..]) }
    }
    /// Elements of an example of x and of the result.
    fn x_len(&self) -> usize {
        self.axes.iter().map(|a| a.size).product::<usize>() * self.channels
    }
    fn y_len(&self) -> usize {
        self.axes.iter().map(|a| a.out).product::<usize>() * self.channels
    }

    /// Calls `f(start of the result's row, starts of the rows of x in its window)` for every window of an example, in row-major order.
    fn each(&self, f: &mut dyn FnMut(usize, &[usize])) {
        let n = self.axes.len();
        let windows: usize = self.axes.iter().map(|a| a.out).product();
        let mut at = vec![0; n];
        let mut rows: Vec<usize> = Vec::new();
        for w in 0..windows {
            // The next along the last axis, if it is as wide: the same rows, further on.
            let on = self
                .axes
                .last()
                .zip(at.last())
                .filter(|(_, &o)| o > 0)
                .map(|(a, &o)| (a.covers(o - 1), a.covers(o)))
                .filter(|(p, q)| p.1 - p.0 == q.1 - q.0)
                .map(|(p, q)| q.0 - p.0);
            if let Some(on) = on {
                rows.iter_mut().for_each(|r| *r += on * self.channels);
            } else {
                rows.clear();
                rows.push(0);
                // Row-major: every axis multiplies the list so far.
                let mut kept = 0;
                for (a, &o) in self.axes.iter().zip(&at) {
                    let (from, to) = a.covers(o);
                    let end = rows.len();
                    for i in kept..end {
                        for j in from..to {
                            let row = rows[i] * a.size + j;
                            rows.push(row);
                        }
                    }
                    kept = end;
                }
                rows.drain(..kept);
                rows.iter_mut().for_each(|r| *r *= self.channels);
            }
            f(w * self.channels, &rows);
            for d in (0..n).rev() {
                at[d] += 1;
                if at[d] < self.axes[d].out {
                    break;
                }
                at[d] = 0;
            }
        }
    }

    /// Calls `f(start of the result's row, the element of x that each of its channels takes)` for every window.
    /// That element is the first greatest one, by XLA's SelectAndScatter with `>=`; padding is never taken.
    fn choices<T: Element>(&self, x: &[T], f: &mut dyn FnMut(usize, &[usize])) {
        let (mut best, mut top) = (vec![0; self.channels], vec![T::from_i64(0); self.channels]);
        self.each(&mut |y, rows| {
            let Some((&first, others)) = rows.split_first() else { return };
            for (c, b) in best.iter_mut().enumerate() {
                *b = first + c;
            }
            top.copy_from_slice(&x[first..first + self.channels]);
            for &row in others {
                for (c, ((b, top), &v)) in best.iter_mut().zip(&mut top).zip(&x[row..row + self.channels]).enumerate() {
                    let keeps = *top >= v;
                    (*b, *top) = if keeps { (*b, *top) } else { (row + c, v) };
                }
            }
            f(y, &best);
        });
    }

    /// A result of `len` elements an example, each example written by `f` alone.
    fn run<T: Element>(&self, exec: &Exec, len: usize, start: T, f: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
        let mut out = exec.vec(self.examples * len);
        if out.is_empty() {
            return out;
        }
        let shared = Shared::new(&mut out);
        let work = self.x_len().max(self.y_len()).max(1);
        exec.chunks(self.examples, (1 << 14) / work, &|from, to| {
            for e in from..to {
                // SAFETY: an example's result belongs to its chunk.
                let own = unsafe { shared.range(e * len, (e + 1) * len) };
                own.fill(start);
                f(e, own);
            }
        });
        out
    }
}

fn example<T>(x: &[T], e: usize, len: usize) -> &[T] {
    &x[e * len..(e + 1) * len]
}

/// Greatest elements; NaN wins, windows of padding alone give the least value.
pub fn max<T: Element>(exec: &Exec, w: &Windows, x: &[T]) -> Vec<T> {
    w.run(exec, w.y_len(), T::from_f64(f64::NEG_INFINITY), |e, out| {
        let x = example(x, e, w.x_len());
        w.each(&mut |y, rows| {
            for &row in rows {
                for (o, &v) in out[y..y + w.channels].iter_mut().zip(&x[row..row + w.channels]) {
                    *o = if v > *o || v.is_nan() { v } else { *o };
                }
            }
        });
    })
}

pub fn sum<T: Number>(exec: &Exec, w: &Windows, x: &[T]) -> Vec<T> {
    w.run(exec, w.y_len(), T::from_i64(0), |e, out| {
        let x = example(x, e, w.x_len());
        w.each(&mut |y, rows| {
            for &row in rows {
                for (o, &v) in out[y..y + w.channels].iter_mut().zip(&x[row..row + w.channels]) {
                    *o = o.add(v);
                }
            }
        });
    })
}

/// `sum`'s transpose: every element gets what the windows over it have, in the windows' order.
pub fn sum_grad<T: Number>(exec: &Exec, w: &Windows, g: &[T]) -> Vec<T> {
    w.run(exec, w.x_len(), T::from_i64(0), |e, out| {
        let g = example(g, e, w.y_len());
        w.each(&mut |y, rows| {
            for &row in rows {
                for (o, &v) in out[row..row + w.channels].iter_mut().zip(&g[y..y + w.channels]) {
                    *o = o.add(v);
                }
            }
        });
    })
}

/// Adds every window's `g` to the element of `x` it takes.
pub fn max_grad<T: Number>(exec: &Exec, w: &Windows, x: &[T], g: &[T]) -> Vec<T> {
    w.run(exec, w.x_len(), T::from_i64(0), |e, out| {
        let g = example(g, e, w.y_len());
        w.choices(example(x, e, w.x_len()), &mut |y, best| {
            for (&b, &v) in best.iter().zip(&g[y..y + w.channels]) {
                out[b] = out[b].add(v);
            }
        });
    })
}

/// `max_grad`'s transpose in `g`: the elements of `h` where the windows take those of `x`, 0 for windows of padding alone.
pub fn max_pick<T: Element>(exec: &Exec, w: &Windows, x: &[T], h: &[T]) -> Vec<T> {
    w.run(exec, w.y_len(), T::from_i64(0), |e, out| {
        let h = example(h, e, w.x_len());
        w.choices(example(x, e, w.x_len()), &mut |y, best| {
            for (o, &b) in out[y..y + w.channels].iter_mut().zip(best) {
                *o = h[b];
            }
        });
    })
}
