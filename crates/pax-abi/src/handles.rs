//! Handles: what JavaScript holds instead of pointers. A stale handle is an error, never a wrong tensor.
use std::cell::RefCell;
use std::rc::Rc;

use pax_core::level::Tape;
use pax_core::{Code, Error, Program, Result, Tensor};

/// Slot in the low 32 bits, generation above: exact in a JavaScript number, never 0.
pub type Handle = u64;

pub enum Entry {
    Tensor(Tensor),
    Program(Rc<Program>),
    Tape(Box<Tape>),
}

/// `told`: bytes that the collector was told the handle's object keeps. `seen`: the last census that met the handle.
#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
    told: i64,
    seen: u64,
}

/// Handles whose JavaScript objects the collector found dead. Finalizers only push; a verb frees.
pub type FreeList = Rc<RefCell<Vec<Handle>>>;

#[derive(Default)]
pub struct Handles {
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    /// Slots made inside each open level: freed when it ends, unless returned.
    levels: Vec<Vec<Handle>>,
    alive: usize,
    relieved: i64,
    /// Two for each census: the even number marks a handle met once, the odd one after it a handle met again.
    census: u64,
    /// Generation of new slots before their first use.
    first: u32,
}

/// Generations fit above 32 bits in a double's 53.
const GENERATIONS: u32 = 1 << 20;

impl Handles {
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// Handles of an engine that takes the place of `restarts` others are none of theirs.
    pub fn begin_after(&mut self, restarts: u32) {
        self.first = restarts.wrapping_mul(1 << 15) % GENERATIONS;
    }

    /// A handle that belongs to the innermost open level.
    pub fn insert(&mut self, entry: Entry) -> Handle {
        let handle = self.insert_lasting(entry);
        if let Some(level) = self.levels.last_mut() {
            level.push(handle);
        }
        handle
    }

    /// A handle that outlives the levels that are open.
    pub fn insert_lasting(&mut self, entry: Entry) -> Handle {
        self.alive += 1;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: self.first, ..Slot::default() });
            (self.slots.len() - 1) as u32
        });
        let s = &mut self.slots[slot as usize];
        s.generation = (s.generation + 1) % GENERATIONS;
        if s.generation == 0 {
            s.generation = 1;
        }
        s.entry = Some(entry);
        u64::from(s.generation) << 32 | u64::from(slot)
    }

    fn slot(&self, h: Handle) -> Option<&Slot> {
        self.slots.get(h as u32 as usize).filter(|s| u64::from(s.generation) == h >> 32 && s.entry.is_some())
    }

    pub fn get(&self, h: Handle) -> Result<&Entry> {
        self.slot(h).and_then(|s| s.entry.as_ref()).ok_or_else(|| Error::new(Code::Disposed, "this tensor has been disposed"))
    }

    pub fn tensor(&self, h: Handle) -> Result<&Tensor> {
        match self.get(h)? {
            Entry::Tensor(t) => Ok(t),
            _ => Err(Error::internal("a tensor's handle names something else")),
        }
    }

    pub fn program(&self, h: Handle) -> Result<Rc<Program>> {
        match self.get(h)? {
            Entry::Program(p) => Ok(p.clone()),
            _ => Err(Error::internal("a program's handle names something else")),
        }
    }

    /// Takes a tape out while it is walked.
    pub fn take_tape(&mut self, h: Handle) -> Result<Box<Tape>> {
        self.get(h)?;
        match self.slots[h as u32 as usize].entry.take() {
            Some(Entry::Tape(t)) => Ok(t),
            other => {
                self.slots[h as u32 as usize].entry = other;
                Err(Error::internal("a recording's handle names something else"))
            }
        }
    }

    pub fn put_tape(&mut self, h: Handle, tape: Box<Tape>) {
        self.slots[h as u32 as usize].entry = Some(Entry::Tape(tape));
    }

    /// Gives up a slot whose tape was taken for good.
    pub fn forget(&mut self, h: Handle) {
        let slot = h as u32;
        self.relieved += std::mem::take(&mut self.slots[slot as usize].told);
        self.alive -= 1;
        self.vacant.push(slot);
    }

    /// Frees a handle; a stale one is left alone.
    pub fn free(&mut self, h: Handle) -> Option<Entry> {
        self.slot(h)?;
        let entry = self.slots[h as u32 as usize].entry.take();
        self.forget(h);
        entry
    }

    /// Remembers what the collector was told of a handle's object.
    pub fn tie(&mut self, h: Handle, told: i64) {
        if self.slot(h).is_some() {
            self.slots[h as u32 as usize].told = told;
        }
    }

    /// Begins to note which handles are met, and which more than once.
    pub fn begin_census(&mut self) {
        self.census += 2;
    }

    pub fn meet(&mut self, h: Handle) {
        let census = self.census;
        if let Some(s) = self.slots.get_mut(h as u32 as usize) {
            s.seen = if s.seen < census { census } else { census + 1 };
        }
    }

    /// True for a handle that was met once since the census began.
    pub fn met_once(&self, h: Handle) -> bool {
        self.slot(h).is_some_and(|s| s.seen == self.census)
    }

    /// Bytes of handles freed since the last call that the collector need not count any more.
    pub fn relieved(&mut self) -> i64 {
        std::mem::take(&mut self.relieved)
    }
    /// The same, which stay to be given.
    pub fn owed(&self) -> i64 {
        self.relieved
    }

    pub fn enter(&mut self) {
        self.levels.push(Vec::new());
    }

    /// Leaves a level: what it made is freed, except `keep`, which passes to the level around it.
    pub fn leave(&mut self, keep: &[Handle]) {
        let made = self.levels.pop().unwrap_or_default();
        let keep: std::collections::HashSet<Handle> = keep.iter().copied().collect();
        for h in made {
            if keep.contains(&h) {
                if let Some(outer) = self.levels.last_mut() {
                    outer.push(h);
                }
            } else {
                drop(self.free(h));
            }
        }
    }

    pub fn depth(&self) -> usize {
        self.levels.len()
    }
}
