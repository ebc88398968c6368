//! Plans for people: what `.plan` prints, and the times of `PAX_PROFILE=1`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a profile reads the clock, and the environment asks for it
use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::kernels::dot::{Cut, Dot};
use super::kernels::Kernel;
use super::{Home, Plan, Step};

fn bytes(n: usize) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1048576 => format!("{:.1} kB", n as f64 / 1024.0),
        _ => format!("{:.1} MB", n as f64 / 1048576.0),
    }
}

/// What a kernel does.
pub(super) fn label(k: &Kernel) -> String {
    match k {
        Kernel::Loop(l) => format!("loop of {}", l.size / l.cells),
        Kernel::Dot(d) => format!("{:?} products {}×{}×{}{}", d.batch.as_slice(), d.m, d.k, d.n, if d.across { ", a chunk" } else { "" }),
        Kernel::Product(p) => product(&p.dot, p.cut),
        Kernel::Pack(p) => format!("pack {}×{}", p.k, p.n),
        Kernel::PackLeft(p) => format!("pack {}×{}", p.m, p.k),
        Kernel::Reduce(r) => {
            format!("{:?} {:?} over {:?}{}", r.fold, r.kept.as_slice(), r.over.as_slice(), if r.across { ", a chunk" } else { "" })
        }
        Kernel::Bits(b) => format!("{} random words", b.n),
        Kernel::Gather(g) => format!("gather {} of {}", g.rows(), g.lay.inner),
        Kernel::Conv(c) => {
            let parts = if c.parts { " in parts" } else { "" };
            format!("{} {:?} of {} images{parts}", c.direction.means(), c.direction.which, c.n)
        }
        Kernel::ConvPack(_) => "pack a kernel".into(),
        Kernel::Concat(c) if c.parts.len() == 1 => format!("copy of {} rows", c.rows),
        Kernel::Concat(c) => format!("{} parts in {} rows", c.parts.len(), c.rows),
        Kernel::Scatter(s) => format!("scatter {} of {}", s.lay.places, s.lay.inner),
    }
}

pub(super) fn product(dot: &Dot, cut: Cut) -> String {
    format!("{}product {}×{}×{}", if cut.deep { "deep " } else { "" }, dot.m, dot.k, dot.n)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "plan: {} phases, arena {}", self.phases.len(), bytes(self.arena))?;
        for (i, p) in self.phases.iter().enumerate() {
            writeln!(f, "{i:4}  {}", self.line(p))?;
        }
        let count = |g: fn(&Home) -> bool| self.homes.iter().filter(|h| g(h)).count();
        write!(
            f,
            "buffers: {} inputs, {} constants, {} of their own, {} in the arena, {} of a chunk",
            count(|h| matches!(h, Home::Input)),
            count(|h| matches!(h, Home::Constant(_))),
            count(|h| matches!(h, Home::Array)),
            count(|h| matches!(h, Home::Arena(_))),
            count(|h| matches!(h, Home::Chunk))
        )
    }
}

impl Plan {
    fn line(&self, p: &super::Phase) -> String {
        match &p.step {
            Step::Row(c) => format!("row {}", c.row.name),
            Step::Chunks { chunks: c, .. } => {
                format!("{} units in {} chunks, {} a chunk: {}", c.units, c.chunks, bytes(c.scratch + 4 * c.room), p.label)
            }
        }
    }
}

/// True where `PAX_PROFILE` asks for times.
pub(super) fn profiling() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| std::env::var_os("PAX_PROFILE").is_some_and(|v| v != "0"))
}

/// Runs between two printed tables.
const EVERY: usize = 50;

/// Times of a plan's phases, printed after every so many runs.
#[derive(Default)]
pub(super) struct Profile(RefCell<(Vec<Duration>, usize)>);

impl Profile {
    pub fn time<R>(&self, phase: usize, f: impl FnOnce() -> R) -> R {
        if !profiling() {
            return f();
        }
        let from = Instant::now();
        let out = f();
        let (times, _) = &mut *self.0.borrow_mut();
        if times.len() <= phase {
            times.resize(phase + 1, Duration::ZERO);
        }
        times[phase] += from.elapsed();
        out
    }

    pub fn end(&self, plan: &Plan) {
        if !profiling() {
            return;
        }
        let (times, runs) = &mut *self.0.borrow_mut();
        *runs += 1;
        if *runs < EVERY {
            return;
        }
        let each = |t: &Duration| t.as_secs_f64() * 1e6 / EVERY as f64;
        let total: f64 = times.iter().map(each).sum();
        eprintln!("plan of {} phases, {total:.1} µs a run", times.len());
        for (i, t) in times.iter().enumerate().filter(|(_, t)| each(t) > total / 200.0) {
            eprintln!("{:9.1} µs  {:4}  {}", each(t), i, plan.line(&plan.phases[i]));
        }
        times.clear();
        *runs = 0;
    }
}
