//! The third step of a layout: each item's place in its layer.

use super::{Chain, GAP, Item, Neighbours, Order};

/// Rounds over all layers: more change nothing on graphs that people read.
const PLACE_ROUNDS: usize = 64;
/// The last of them look at the neighbours on both sides.
const SETTLING_ROUNDS: usize = 16;

/// Where the main way is, and how strongly it is held there: nothing else moves it.
const MAIN_X: f64 = 0.0;
const MAIN_WEIGHT: f64 = 1e9;

/// Places every item as near to its neighbours as its layer allows; bends pull at each other so that edges are straight.
pub(super) fn place(items: &mut [Item], chains: &[Chain], order: &mut Order) {
    let neighbours = Neighbours::of(items, chains);
    for layer in order.iter() {
        let mut x = 0.0;
        for index in layer {
            x += items[*index].width / 2.0;
            items[*index].x = x;
            x += items[*index].width / 2.0 + GAP;
        }
    }
    let layers = order.len();
    for round in 0..PLACE_ROUNDS {
        let settling = PLACE_ROUNDS - SETTLING_ROUNDS <= round;
        let down = round % 2 == 0;
        let sweep: Vec<usize> = if down {
            (0..layers).collect()
        } else {
            (0..layers).rev().collect()
        };
        for layer in sweep {
            let wanted: Vec<(f64, f64)> = order[layer]
                .iter()
                .map(|index| {
                    let (above, below) = (&neighbours.above[*index], &neighbours.below[*index]);
                    let near = match (settling, down) {
                        (true, _) => above.iter().chain(below).collect::<Vec<_>>(),
                        (false, true) => above.iter().collect(),
                        (false, false) => below.iter().collect(),
                    };
                    match items[*index].main {
                        true => (MAIN_X, MAIN_WEIGHT),
                        false => pull(items, *index, &near),
                    }
                })
                .collect();
            let widths: Vec<f64> = order[layer].iter().map(|index| items[*index].width).collect();
            for (index, x) in order[layer].iter().zip(settled(&wanted, &widths)) {
                items[*index].x = x;
            }
        }
    }
    for chain in chains.iter().chain(chains) {
        straighten(items, chain, order);
    }
}

/// Gives all bends of an edge one place, where that leads into nothing: below its upper end, above its lower one, or
/// where one of them is.
fn straighten(items: &mut [Item], chain: &Chain, order: &Order) {
    let bends = &chain.items[1..chain.items.len() - 1];
    // Of each bend how far it can go.
    let room: Vec<(f64, f64)> = bends
        .iter()
        .map(|bend| room(items, *bend, &order[items[*bend].layer]))
        .collect();
    let ends = [chain.items[0], chain.items[chain.items.len() - 1]];
    let wanted = ends.iter().chain(bends).map(|index| items[*index].x);
    let fits = |x: &f64| room.iter().all(|(from, to)| *from <= *x && *x <= *to);
    // What is on the main way is straight, and a single bend stands well where it is.
    if bends.len() < 2 || bends.iter().any(|bend| items[*bend].main) {
        return;
    }
    let wanted = wanted.into_iter().find(fits);
    for bend in bends {
        items[*bend].x = wanted.unwrap_or(items[*bend].x);
    }
}

/// Between which places an item can stand, with its neighbours in the layer where they are.
fn room(items: &[Item], index: usize, layer: &[usize]) -> (f64, f64) {
    let at = layer.iter().position(|other| *other == index);
    let distance = |other: usize| (items[index].width + items[other].width) / 2.0 + GAP;
    let left = at.and_then(|at| at.checked_sub(1)).map(|at| layer[at]);
    let right = at.and_then(|at| layer.get(at + 1)).copied();
    (
        left.map_or(f64::NEG_INFINITY, |other| items[other].x + distance(other)),
        right.map_or(f64::INFINITY, |other| items[other].x - distance(other)),
    )
}

/// Where an item's neighbours want it, and how strongly: at their median, so that it stands right below one of them
/// and not a little beside them all.
fn pull(items: &[Item], index: usize, near: &[&usize]) -> (f64, f64) {
    let weight = |other: usize| match (items[index].bend, items[other].bend) {
        (true, true) => 8.0,
        (true, false) | (false, true) => 2.0,
        (false, false) => 1.0,
    };
    let mut pulls: Vec<(f64, f64)> = near.iter().map(|other| (items[**other].x, weight(**other))).collect();
    pulls.sort_by(|left, right| left.0.total_cmp(&right.0));
    let total: f64 = pulls.iter().map(|(_, weight)| weight).sum();
    let mut passed = 0.0;
    for (at, (x, weight)) in pulls.iter().enumerate() {
        passed += weight;
        if total < passed * 2.0 {
            return (*x, total);
        }
        // As strong on the one side as on the other: between the two.
        if (total - passed * 2.0).abs() < f64::EPSILON {
            return ((x + pulls[at + 1].0) / 2.0, total);
        }
    }
    // Nobody pulls: it stays, but gives way.
    (items[index].x, 0.01)
}

/// The places nearest to the wanted ones (least squares) that keep the order and the gaps: what would overlap is
/// pooled and placed as one.
fn settled(wanted: &[(f64, f64)], widths: &[f64]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(widths.len());
    let mut offset = 0.0;
    for (at, width) in widths.iter().enumerate() {
        if 0 < at {
            offset += widths[at - 1] / 2.0 + GAP + width / 2.0;
        }
        offsets.push(offset);
    }
    // Each pool: its mean, its weight and how many it holds.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((x, weight), offset) in wanted.iter().zip(&offsets) {
        let mut pool = (x - offset, *weight, 1);
        while let Some(last) = pools.last().copied().filter(|last| pool.0 < last.0) {
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let means = pools
        .iter()
        .flat_map(|(mean, _, count)| std::iter::repeat_n(*mean, *count));
    means.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}
