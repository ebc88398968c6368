//! Code against the functions that it was made from, bit by bit.
use crate::chunk::loops::{From, How, Instr, Load, Loop, Store};
use crate::chunk::Bases;
use crate::threefry::threefry2x32;
use crate::tile::{self, Function, Simd};

/// `copy` is the first: what it makes is an operand itself.
const FUNCTIONS: [fn(Simd) -> Function; 31] = [
    tile::copy, tile::neg, tile::abs, tile::square, tile::relu, tile::sqrt, tile::rsqrt, tile::reciprocal, tile::floor,
    tile::logical_not, tile::exp_, tile::log_, tile::tanh_, tile::sigmoid_, tile::add, tile::sub, tile::mul, tile::div,
    tile::maximum, tile::minimum, tile::equal, tile::not_equal, tile::less, tile::less_equal, tile::greater, tile::greater_equal,
    tile::logical_and, tile::logical_or, tile::select, tile::add_product, tile::sub_product,
];

/// A stream of numbers.
struct Random(u32);
impl Random {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        threefry2x32([17, 4], [self.0, 0])[0]
    }
    fn below(&mut self, n: usize) -> usize { self.next() as usize % n }
    fn float(&mut self) -> f32 {
        match self.below(40) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => 0.0,
            4 => -0.0,
            5 => 1e-42,
            6 => 3e38,
            7 => 1.0,
            _ => (self.next() as f32 / u32::MAX as f32 - 0.5) * 8.0,
        }
    }
}

fn bits(x: &[f32]) -> Vec<u32> { x.iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect() }

/// Runs a loop on the inputs, with and without code, from `from` on; the first `over` results lie over as many inputs.
fn both(simd: Simd, loads: &dyn Fn() -> Vec<Load>, instrs: &dyn Fn() -> Vec<Instr>, results: &[u8], inputs: &[Vec<f32>], over: usize, (from, to): (usize, usize)) -> [Vec<Vec<u32>>; 2] {
    [true, false].map(|compiled| {
        let (mut inputs, size) = (inputs.to_vec(), inputs[0].len());
        let mut outputs = vec![vec![7.0f32; size]; results.len()];
        let mut bases: Vec<*mut u8> = inputs.iter_mut().map(|x| x.as_mut_ptr().cast()).collect();
        let stores = results.iter().enumerate().map(|(k, &id)| Store { id, slot: if k < over { k } else { inputs.len() + k }, how: if k < over { How::Late } else { How::There } }).collect();
        bases.extend(outputs.iter_mut().map(|x| x.as_mut_ptr().cast::<u8>()));
        let l = Loop::new(if compiled { simd } else { Simd::Base }, size, (48, 128), loads(), instrs(), stores);
        assert_eq!(l.is_compiled(), compiled);
        // SAFETY: every slot has a base of the loop's size.
        unsafe { l.range(Bases(&bases), from, to) };
        inputs.iter().chain(&outputs).map(|x| bits(x)).collect()
    })
}

#[test]
fn code_does_what_the_functions_do() {
    let simd = Simd::machine();
    if simd < Simd::Avx2 { return; }
    let mut random = Random(0);
    // Each by itself, then many of them that read what came before, so that there are more values than registers.
    for case in 0..600 {
        let (alone, size) = (case < 3 * FUNCTIONS.len(), 16 + random.below(90));
        let inputs: Vec<Vec<f32>> = (0..5).map(|_| (0..size).map(|_| random.float()).collect()).collect();
        let constant = random.float();
        let loads = || {
            let mut l: Vec<Load> = (0..4).map(|k| Load { id: 48 + k as u8, from: From::Direct(k, 0) }).collect();
            l.push(Load { id: 0, from: From::Splat(4, 1) });
            l.push(Load { id: 1, from: From::Constant(constant.to_bits()) });
            l.push(Load { id: 2, from: From::Reciprocal(4, 0) });
            l
        };
        let count = if alone { 1 } else { 1 + random.below(40) };
        let functions: Vec<usize> = (0..count).map(|_| if alone { case % FUNCTIONS.len() } else { random.below(FUNCTIONS.len()) }).collect();
        // The last ones are results; those that may lie over an operand stay in registers till the end.
        let results = (1 + random.below(9)).min(count);
        let over = random.below(results.min(4) + 1);
        let over = if functions[count - over..].contains(&0) { 0 } else { over };
        let id = |k: usize| (if k >= count - results && k < count - over { 60 + k } else { 3 + k }) as u8;
        let mut known: Vec<u8> = vec![48, 49, 50, 51, 0, 1, 2];
        let chain: Vec<(usize, u8, [u8; 3])> = functions.iter().enumerate().map(|(k, &f)| {
            let src = [0; 3].map(|_| known[random.below(known.len())]);
            known.push(id(k));
            (f, id(k), src)
        }).collect();
        let instrs = || chain.iter().map(|&(f, dst, src)| Instr { f: FUNCTIONS[f](simd), dst, src }).collect();
        let results: Vec<u8> = (count - results..count).rev().map(id).collect();
        let from = random.below(size);
        let [code, functions] = both(simd, &loads, &instrs, &results, &inputs, over, (from, from + random.below(size - from + 1)));
        assert_eq!(code, functions, "{case}: {chain:?} of {size}");
    }
}
