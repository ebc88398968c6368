//! Code against the functions that it was made from, bit by bit.
use crate::chunk::loops::{From, How, Instr, Load, Loop, Store, STRIDE};
use crate::chunk::walk::{Axis, Walk};
use crate::chunk::Bases;
use crate::threefry::threefry2x32;
use crate::tile::{self, Function, Simd};

/// `copy` is the first: what it makes is an operand itself.
const FUNCTIONS: [fn(Simd) -> Function; 48] = [
    tile::copy,
    tile::neg,
    tile::abs,
    tile::square,
    tile::relu,
    tile::sqrt,
    tile::rsqrt,
    tile::reciprocal,
    tile::floor,
    tile::to_f16,
    tile::to_bf16,
    tile::round_bf16,
    tile::logical_not,
    tile::exp_,
    tile::log_,
    tile::tanh_,
    tile::sigmoid_,
    tile::add,
    tile::sub,
    tile::mul,
    tile::div,
    tile::maximum,
    tile::minimum,
    tile::equal,
    tile::not_equal,
    tile::less,
    tile::less_equal,
    tile::greater,
    tile::greater_equal,
    tile::logical_and,
    tile::logical_or,
    tile::select,
    tile::add_product,
    tile::sub_product,
    tile::ceil,
    tile::trunc,
    tile::round,
    tile::sign,
    tile::is_finite,
    tile::is_nan,
    tile::expm1,
    tile::log1p,
    tile::softplus,
    tile::erf,
    tile::erfc,
    tile::silu,
    tile::gelu_tanh,
    tile::gelu_erf,
];

/// A stream of numbers.
struct Random(u32);
impl Random {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        threefry2x32([17, 4], [self.0, 0])[0]
    }
    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
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
            // Exponentials of these are denormal, or infinite.
            8..=11 => (self.next() as f32 / u32::MAX as f32 - 0.5) * 220.0,
            _ => (self.next() as f32 / u32::MAX as f32 - 0.5) * 8.0,
        }
    }
}

/// Numbers in cells of four bytes, at the alignment of those that take two.
struct Cells {
    memory: Vec<u64>,
    cells: usize,
}
impl Cells {
    fn new(x: &[f32], cells: usize) -> Cells {
        let double = |x: f32| (f64::from(x) * (1.0 + 1e-12)).to_bits();
        let pair = |p: &[f32]| u64::from(p[0].to_bits()) | p.get(1).map_or(0, |x| u64::from(x.to_bits())) << 32;
        Cells { memory: if cells == 2 { x.iter().map(|&x| double(x)).collect() } else { x.chunks(2).map(pair).collect() }, cells }
    }
    fn start(&mut self) -> *mut u8 {
        self.memory.as_mut_ptr().cast()
    }
    fn bits(&self) -> Vec<u64> {
        let single = |x: u64| if f32::from_bits(x as u32).is_nan() { u64::MAX } else { x & 0xffff_ffff };
        let double = |x: u64| if f64::from_bits(x).is_nan() { u64::MAX } else { x };
        self.memory.iter().flat_map(|&x| if self.cells == 2 { [double(x); 2] } else { [single(x), single(x >> 32)] }).collect()
    }
}

/// Operands: four in the loop's order, one number, and walks over five rows: the same row, a number a row, rows of a larger matrix.
fn loads(constant: f32, row: usize, tile: bool, cells: usize) -> Vec<Load> {
    let mut l: Vec<Load> =
        (0..4).map(|k| Load { id: 48 + k as u8, from: if tile && k == 0 { From::Tile } else { From::Direct(k, 0) } }).collect();
    let walk = |stride: isize, inner: isize| {
        From::Walk(Walk::new(
            4,
            3,
            [Axis::whole(5, stride), Axis::whole(row, inner)].into_iter(),
            if cells == 2 { crate::DType::F64 } else { crate::DType::F32 },
            0,
            cells,
        ))
    };
    let constant = if cells == 2 { f64::from(constant).to_bits() } else { u64::from(constant.to_bits()) };
    let one = |offset| Walk::new(4, offset, std::iter::empty(), if cells == 2 { crate::DType::F64 } else { crate::DType::F32 }, 0, cells);
    let walks =
        [From::Splat(one(1)), From::Constant(constant), From::Reciprocal(one(0)), walk(0, 1), walk(1, 0), walk(row as isize + 3, 1)];
    l.extend(walks.into_iter().enumerate().map(|(id, from)| Load { id: id as u8, from }));
    l
}

#[test]
fn code_does_what_the_functions_do() {
    for simd in Simd::levels().into_iter().filter(|&s| s >= Simd::Avx2) {
        for cells in [1, 2] {
            at_level(simd, cells)
        }
    }
}

fn at_level(simd: Simd, cells: usize) {
    let functions: Vec<fn(Simd) -> Function> = FUNCTIONS.into_iter().filter(|f| f(simd).of(cells).is_some()).collect();
    let mut random = Random(0);
    // Each by itself, then many of them that read what came before, so that there are more values than registers.
    for case in 0..900 {
        let (alone, row) = (case < 3 * functions.len(), 16 + random.below(30));
        let size = 5 * row;
        let inputs: Vec<Vec<f32>> = (0..5).map(|k| (0..size + if k == 4 { 30 } else { 0 }).map(|_| random.float()).collect()).collect();
        let constant = random.float();
        let count = if alone { 1 } else { 1 + random.below(35) };
        let chosen: Vec<usize> = (0..count).map(|_| if alone { case % functions.len() } else { random.below(functions.len()) }).collect();
        // The last ones are results; those that may lie over an operand stay in registers till the end.
        let results = (1 + random.below(9)).min(count);
        let over = random.below(results.min(4) + 1);
        let over = if chosen[count - over..].contains(&0) { 0 } else { over };
        let id = |k: usize| (if k >= count - results && k < count - over { 60 + k } else { 6 + k }) as u8;
        // Without walks a range is one row; with tiles it is a block behind a product.
        let (walks, tile) = (random.below(2) == 1, random.below(3) == 0);
        let mut known: Vec<u8> = vec![48, 49, 50, 51, 0, 1, 2];
        if walks {
            known.extend([3, 4, 5]);
        }
        let chain: Vec<(usize, u8, [u8; 3])> = chosen
            .iter()
            .enumerate()
            .map(|(k, &f)| {
                let src = [0; 3].map(|_| known[random.below(known.len())]);
                known.push(id(k));
                (f, id(k), src)
            })
            .collect();
        let part = if tile { (random.below(5), random.below(row)) } else { (random.below(size), 0) };
        let end = if tile {
            (part.0 + 1 + random.below(5 - part.0), 1 + random.below(row - part.1))
        } else {
            (part.0 + random.below(size - part.0 + 1), 0)
        };
        let [code, plain] = [simd, Simd::Base].map(|level| {
            let mut memory: Vec<Cells> =
                inputs.iter().cloned().chain(vec![vec![7.0; size]; results]).map(|x| Cells::new(&x, cells)).collect();
            let mut bases: Vec<*mut u8> = memory.iter_mut().map(Cells::start).collect();
            let stores = (0..results)
                .map(|k| Store {
                    id: id(count - 1 - k),
                    slot: if k < over { k } else { inputs.len() + k },
                    how: if k < over { How::Late } else { How::There },
                })
                .collect();
            // A product's part comes from a place of its own, which results do not lie over.
            let mut product = Cells::new(&inputs[0], cells);
            if tile {
                bases[0] = bases[inputs.len()];
            }
            let instrs = chain.iter().filter_map(|&(f, dst, src)| Some(Instr { f: functions[f](simd).of(cells)?, dst, src })).collect();
            let l = Loop::new(
                level,
                (size, cells),
                (tile.then_some(row * cells), None),
                (48, 128),
                loads(constant, row, tile, cells).into_iter().filter(|l| walks || !(3..6).contains(&l.id)).collect(),
                instrs,
                stores,
            );
            assert_eq!(l.is_compiled(), level > Simd::Base);
            let mut room = vec![0u64; 128 * STRIDE / 2];
            let place = |(a, b): (usize, usize)| (a * cells, b * cells);
            // SAFETY: every slot has a base of the loop's size.
            unsafe {
                let all = place((part.0, end.0));
                if tile {
                    l.block(
                        Bases(&bases),
                        (part.0, end.0),
                        place((part.1, end.1)),
                        row * cells,
                        product.start().cast(),
                        row * cells,
                        room.as_mut_ptr().cast(),
                    )
                } else {
                    l.range(Bases(&bases), all, (0, false), room.as_mut_ptr().cast())
                }
            }
            memory.iter().map(Cells::bits).collect::<Vec<_>>()
        });
        assert_eq!(code, plain, "{simd:?}, {cells} cells, {case}: {chain:?} of five rows of {row}, {part:?} to {end:?}");
    }
}

/// A loop that keeps a product and sums it and its square, over two ranges of rows of the second chunk.
#[test]
fn sums_of_rows_are_those_of_the_functions() {
    for (cells, row) in [1, 2].into_iter().flat_map(|cells| [16, 19, 32, 41, 64].map(|row| (cells, row))) {
        let (rows, mut random) = (700, Random(row as u32));
        let x: Vec<f32> = (0..rows * row).map(|_| random.next() as f32 / u32::MAX as f32).collect();
        let results: Vec<Vec<u64>> = Simd::levels()
            .into_iter()
            .map(|simd| {
                let mut memory = [x.clone(), x[..row].to_vec(), vec![7.0; x.len()], vec![7.0; 2 * row], vec![7.0; 2 * row]]
                    .map(|x| Cells::new(&x, cells));
                let bases: Vec<*mut u8> = memory.iter_mut().map(Cells::start).collect();
                let dtype = if cells == 2 { crate::DType::F64 } else { crate::DType::F32 };
                let axes = [Axis::whole(rows, 0), Axis::whole(row, 1)];
                let walk = Walk::new(1, 0, axes.into_iter(), dtype, 0, cells);
                let step = |f: fn(Simd) -> Function, dst, src| Instr { f: f(simd).of(cells).unwrap(), dst, src };
                let instrs = vec![
                    step(tile::mul, 50, [48, 0, 0]),
                    step(tile::copy, 1, [50, 0, 0]),
                    step(tile::square, 2, [50, 0, 0]),
                    step(tile::copy, 3, [2, 0, 0]),
                ];
                let loads = vec![Load { id: 48, from: From::Direct(0, 0) }, Load { id: 0, from: From::Walk(walk) }];
                let stores = [(50, 2, How::There), (1, 3, How::Sum), (3, 4, How::Sum)].map(|(id, slot, how)| Store { id, slot, how });
                let l = Loop::new(simd, (rows * row, cells), (None, Some(row * cells)), (4, 60), loads, instrs, stores.into());
                assert_eq!(l.is_compiled(), simd > Simd::Base);
                let mut room = vec![0u64; l.room() / 2 + 1];
                for (from, to, again) in [(2, 500, false), (500, 700, true)] {
                    let at = (from * row * cells, to * row * cells);
                    // SAFETY: every slot has a base of the loop's size, or of two rows.
                    unsafe { l.range(Bases(&bases), at, (1, again), room.as_mut_ptr().cast()) }
                }
                if cells == 2 {
                    for column in 0..row {
                        let exact =
                            |f: fn(f64) -> f64| (2..rows).map(|r| f(f64::from_bits(memory[2].memory[r * row + column]))).sum::<f64>();
                        for (k, exact) in [(3, exact(|y| y)), (4, exact(|y| y * y))] {
                            let got = f64::from_bits(memory[k].memory[row + column]);
                            assert!((got / exact - 1.0).abs() < 1e-13, "{simd:?} {row} {column}: {got} is not {exact}");
                        }
                    }
                }
                memory.iter().flat_map(Cells::bits).collect()
            })
            .collect();
        assert!(results.iter().all(|r| *r == results[0]), "{cells} cells, rows of {row}");
    }
}
