//! Where the nodes and edges of a graph go: layers from top to bottom, few crossings, long edges straight.
//!
//! The classic three steps (Sugiyama): every node gets a layer, so that edges point down; each layer gets an order, in
//! which few edges cross; each node gets a place, as near to its neighbours as its layer allows. The main way, from the
//! start over what comes next to the end, runs straight down, and what leads off it stands on its two sides in turn. A
//! Parallel or Map state is a box around its own layout, placed as one large node.

mod place;

use std::collections::BTreeSet;

use self::place::place;
use super::graph::{Edge, EdgeKind, Flow, Node, cut};

const NODE: (f64, f64) = (180.0, 50.0);
/// A start or end mark.
const MARK: f64 = 14.0;
/// Between neighbours in a layer.
const GAP: f64 = 24.0;
/// Between a layer of nodes and the layer of labels below it.
const LAYER_GAP: f64 = 16.0;
/// A layer of labels, with and without a label in it.
const LABEL_LAYER: f64 = 18.0;
const EMPTY_LAYER: f64 = 8.0;
/// Inside a box, below its title.
const PADDING: f64 = 16.0;
const TITLE: f64 = 34.0;
/// A letter of a label, on average, at 11.5 px.
const LETTER: f64 = 6.2;

/// Rounds over all layers: more change nothing on graphs that people read.
const ORDER_ROUNDS: usize = 12;

/// A graph with places for everything, in pixels.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) nodes: Vec<Placed>,
    pub(super) edges: Vec<Drawn>,
    /// Where the flow starts and ends; a box has neither.
    pub(super) start: Option<(f64, f64)>,
    pub(super) end: Option<(f64, f64)>,
}

/// A node's top left corner and size.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) state_type: String,
    pub(super) comment: Option<String>,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// The box it lies in.
    pub(super) inside: Option<String>,
    /// A Parallel or Map state that is drawn as a box, or could be.
    pub(super) opened: Option<bool>,
    /// The states that it stands for, if they are folded.
    pub(super) folded: Vec<String>,
}

/// An edge's way, as an SVG path.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) kind: EdgeKind,
    pub(super) label: String,
    /// The middle of the label.
    pub(super) label_at: (f64, f64),
    pub(super) path: String,
    /// The tip of the arrow, and whether it points up.
    pub(super) tip: (f64, f64),
    pub(super) up: bool,
}

/// Lays out a whole state machine; `closed` tells which Parallel and Map states are drawn as a plain node.
pub(super) fn picture(flow: &Flow, closed: &impl Fn(&str) -> bool) -> Picture {
    lay_out(flow, true, None, closed)
}

/// Something that takes a place in a layer.
struct Item {
    width: f64,
    height: f64,
    layer: usize,
    x: f64,
    /// A bend of an edge, not a node.
    bend: bool,
    /// On the main way.
    main: bool,
}

/// An edge as a chain of items from its upper to its lower end.
struct Chain {
    edge: Edge,
    items: Vec<usize>,
    /// Whether it leads up, against the layers.
    reversed: bool,
    labelled: usize,
}

fn lay_out(flow: &Flow, marks: bool, inside: Option<&str>, closed: &impl Fn(&str) -> bool) -> Picture {
    let boxes: Vec<Option<Picture>> = flow.nodes.iter().map(|node| boxed(node, closed)).collect();
    let sizes = boxes.iter().map(|inner| match inner {
        Some(inner) => (inner.width.max(NODE.0), inner.height),
        None => NODE,
    });
    let mut sizes: Vec<(f64, f64)> = sizes.collect();
    let mut edges: Vec<Edge> = Vec::new();
    let (start, end) = (sizes.len(), sizes.len() + 1);
    if marks {
        sizes.extend([(MARK, MARK), (MARK, MARK)]);
        if !flow.nodes.is_empty() {
            edges.push(Edge {
                from: start,
                to: Some(flow.start),
                kind: EdgeKind::Next,
                label: String::new(),
            });
        }
    }
    for edge in &flow.edges {
        let to = edge.to.or(marks.then_some(end));
        if let Some(to) = to.filter(|to| *to != edge.from) {
            edges.push(Edge {
                from: edge.from,
                to: Some(to),
                kind: edge.kind,
                label: edge.label.clone(),
            });
        }
    }
    let first = if marks { start } else { flow.start };
    let (mut items, chains) = layers(&sizes, edges, first);
    mark_main(&mut items, &chains, first, flow);
    let mut order = ordered(&items, &chains);
    place(&mut items, &chains, &mut order);
    let layer_tops = heights(&items, &chains, &order);

    let left = items
        .iter()
        .map(|item| item.x - item.width / 2.0)
        .fold(f64::INFINITY, f64::min);
    let right = items
        .iter()
        .map(|item| item.x + item.width / 2.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let left = if left.is_finite() { left } else { 0.0 };
    items.iter_mut().for_each(|item| item.x -= left);

    let mut picture = Picture {
        width: if right.is_finite() { right - left } else { 0.0 },
        height: layer_tops.last().map_or(0.0, |(top, height)| top + height),
        ..Picture::default()
    };
    let top_of = |item: &Item| {
        let (top, height) = layer_tops[item.layer];
        top + (height - item.height) / 2.0
    };
    let name = |index: usize| flow.nodes.get(index).map(|node| node.name.clone());
    for chain in &chains {
        picture.edges.push(drawn(chain, &items, &layer_tops, &top_of, &name));
    }
    if marks {
        let centre = |item: &Item| (item.x, top_of(item) + item.height / 2.0);
        picture.start = Some(centre(&items[start]));
        let ends = chains.iter().any(|chain| chain.edge.to == Some(end));
        picture.end = ends.then(|| centre(&items[end]));
    }
    for ((index, node), inner) in flow.nodes.iter().enumerate().zip(boxes) {
        let item = &items[index];
        let (x, y) = (item.x - item.width / 2.0, top_of(item));
        picture.nodes.push(Placed {
            name: node.name.clone(),
            state_type: node.state_type.clone(),
            comment: node.comment.clone(),
            x,
            y,
            width: item.width,
            height: item.height,
            inside: inside.map(str::to_owned),
            opened: (!node.inside.is_empty()).then_some(inner.is_some()),
            folded: node.folded.clone(),
        });
        if let Some(inner) = inner {
            let shift = (item.width - inner.width) / 2.0;
            picture.take(inner, x + shift, y);
        }
    }
    picture
}

impl Picture {
    /// Adds a picture as a part of this one.
    fn take(&mut self, inner: Picture, x: f64, y: f64) {
        for mut node in inner.nodes {
            node.x += x;
            node.y += y;
            self.nodes.push(node);
        }
        for mut edge in inner.edges {
            edge.path = moved(&edge.path, x, y);
            edge.label_at = (edge.label_at.0 + x, edge.label_at.1 + y);
            edge.tip = (edge.tip.0 + x, edge.tip.1 + y);
            self.edges.push(edge);
        }
    }
}

/// A path's numbers come in pairs, so that it can be moved as a text.
fn moved(path: &str, x: f64, y: f64) -> String {
    let mut across = true;
    let moved = path.split(' ').map(|word| match word.parse::<f64>() {
        Ok(number) => {
            let by = if across { x } else { y };
            across = !across;
            short(number + by)
        }
        Err(_) => word.to_owned(),
    });
    moved.collect::<Vec<_>>().join(" ")
}

fn short(number: f64) -> String {
    format!("{}", (number * 10.0).round() / 10.0)
}

/// A Parallel or Map state as a box around its flows, side by side.
fn boxed(node: &Node, closed: &impl Fn(&str) -> bool) -> Option<Picture> {
    if node.inside.is_empty() || closed(&node.name) {
        return None;
    }
    let parts = node
        .inside
        .iter()
        .map(|flow| lay_out(flow, false, Some(&node.name), closed));
    let mut picture = Picture::default();
    let mut x = PADDING;
    let mut height: f64 = 0.0;
    for part in parts {
        let (width, part_height) = (part.width, part.height);
        picture.take(part, x, TITLE);
        x += width + GAP;
        height = height.max(part_height);
    }
    picture.width = x - GAP + PADDING;
    picture.height = TITLE + height + PADDING;
    Some(picture)
}

/// Gives every node an even layer and every edge a bend on each layer between its ends, so at least one.
fn layers(sizes: &[(f64, f64)], edges: Vec<Edge>, first: usize) -> (Vec<Item>, Vec<Chain>) {
    let target = |edge: &Edge| edge.to.expect("edges to nowhere were given a mark");
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); sizes.len()];
    for (number, edge) in edges.iter().enumerate() {
        out[edge.from].push(number);
    }
    let back = back_edges(&out, &edges, first, sizes.len());
    let rank = ranks(sizes.len(), &edges, &back);
    let mut items: Vec<Item> = sizes
        .iter()
        .zip(&rank)
        .map(|((width, height), rank)| Item {
            width: *width,
            height: *height,
            layer: rank * 2,
            x: 0.0,
            bend: false,
            main: false,
        })
        .collect();
    let mut chains = Vec::new();
    for (number, edge) in edges.into_iter().enumerate() {
        let reversed = back.contains(&number);
        let (upper, lower) = if reversed {
            (target(&edge), edge.from)
        } else {
            (edge.from, target(&edge))
        };
        let (from, to) = (items[upper].layer, items[lower].layer);
        // The label stands beside the state that the edge leaves.
        let label_layer = if reversed { to - 1 } else { from + 1 };
        let mut chain = vec![upper];
        let mut labelled = items.len();
        for layer in from + 1..to {
            let label = if layer == label_layer {
                cut(&edge.label)
            } else {
                String::new()
            };
            if layer == label_layer {
                labelled = items.len();
            }
            chain.push(items.len());
            items.push(Item {
                width: label.chars().count() as f64 * LETTER + 6.0,
                height: if label.is_empty() { 0.0 } else { LABEL_LAYER },
                layer,
                x: 0.0,
                bend: true,
                main: false,
            });
        }
        chain.push(lower);
        chains.push(Chain {
            edge,
            items: chain,
            reversed,
            labelled,
        });
    }
    (items, chains)
}

/// Marks the main way: from the first state over what comes next, never over a Catcher's edge where there is another,
/// rather to an end than to where the flow fails, and of several ways the longest.
fn mark_main(items: &mut [Item], chains: &[Chain], first: usize, flow: &Flow) {
    let down = |from: usize| {
        let leads = move |chain: &&Chain| !chain.reversed && chain.items[0] == from;
        chains.iter().filter(leads)
    };
    let end = |chain: &Chain| chain.items[chain.items.len() - 1];
    let mut ends = vec![false; items.len()];
    for edge in flow.edges.iter().filter(|edge| edge.to.is_none()) {
        ends[edge.from] = true;
    }
    // How many states lie below each, and whether an end does, from the lowest layer up.
    let mut nodes: Vec<usize> = (0..items.len()).filter(|index| !items[*index].bend).collect();
    nodes.sort_by_key(|index| std::cmp::Reverse(items[*index].layer));
    let mut below = vec![0; items.len()];
    for node in nodes {
        let lengths = down(node).map(|chain| below[end(chain)] + 1);
        below[node] = lengths.max().unwrap_or(0);
        ends[node] |= down(node).any(|chain| ends[end(chain)]);
    }
    let rank = |chain: &&Chain| (chain.edge.kind != EdgeKind::Catch, ends[end(chain)], below[end(chain)]);
    let mut at = first;
    while let Some(item) = items.get_mut(at) {
        item.main = true;
        // Of those that are as good the first: `max_by_key` would take the last.
        let best = down(at).rev().max_by_key(rank);
        let Some(chain) = best else { return };
        for index in &chain.items {
            items[*index].main = true;
        }
        at = end(chain);
    }
}

/// The edges that lead back to a state on the way to them, which are drawn upwards.
fn back_edges(out: &[Vec<usize>], edges: &[Edge], first: usize, nodes: usize) -> BTreeSet<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; nodes];
    let mut back = BTreeSet::new();
    let starts = std::iter::once(first).chain(0..nodes);
    for start in starts.filter(|start| *start < nodes) {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.pop() {
            let Some(edge) = out[node].get(next) else {
                marks[node] = Mark::Done;
                continue;
            };
            path.push((node, next + 1));
            let Some(to) = edges[*edge].to else { continue };
            match marks[to] {
                Mark::Open => {
                    back.insert(*edge);
                }
                Mark::Done => {}
                Mark::New => {
                    marks[to] = Mark::Open;
                    path.push((to, 0));
                }
            }
        }
    }
    back
}

/// The longest way from above to each node.
fn ranks(nodes: usize, edges: &[Edge], back: &BTreeSet<usize>) -> Vec<usize> {
    let ends = |(number, edge): (usize, &Edge)| {
        let to = edge.to.unwrap_or(edge.from);
        if back.contains(&number) {
            (to, edge.from)
        } else {
            (edge.from, to)
        }
    };
    let pairs: Vec<(usize, usize)> = edges.iter().enumerate().map(ends).collect();
    let mut waiting = vec![0; nodes];
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (upper, lower) in &pairs {
        waiting[*lower] += 1;
        below[*upper].push(*lower);
    }
    let mut rank = vec![0; nodes];
    let mut ready: Vec<usize> = (0..nodes).filter(|node| waiting[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for lower in &below[node] {
            rank[*lower] = rank[*lower].max(rank[node] + 1);
            waiting[*lower] -= 1;
            if waiting[*lower] == 0 {
                ready.push(*lower);
            }
        }
    }
    rank
}

type Order = Vec<Vec<usize>>;

/// Above and below each item, its neighbours.
struct Neighbours {
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
}

impl Neighbours {
    fn of(items: &[Item], chains: &[Chain]) -> Self {
        let mut neighbours = Self {
            above: vec![Vec::new(); items.len()],
            below: vec![Vec::new(); items.len()],
        };
        for chain in chains {
            for pair in chain.items.windows(2) {
                neighbours.below[pair[0]].push(pair[1]);
                neighbours.above[pair[1]].push(pair[0]);
            }
        }
        neighbours
    }
}

/// An order of each layer in which few edges cross, by moving every item towards the middle of its neighbours.
fn ordered(items: &[Item], chains: &[Chain]) -> Order {
    let layers = items.iter().map(|item| item.layer + 1).max().unwrap_or(0);
    let mut order: Order = vec![Vec::new(); layers];
    let neighbours = Neighbours::of(items, chains);
    // The first order is that of the way through the graph, so that what belongs together begins together.
    let mut seen = vec![false; items.len()];
    let mut roots: Vec<usize> = (0..items.len()).collect();
    roots.sort_by_key(|index| items[*index].layer);
    let mut right = true;
    for root in roots {
        let mut stack = vec![root];
        while let Some(index) = stack.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            order[items[index].layer].push(index);
            stack.extend(around(items, &neighbours.below[index], &mut right).into_iter().rev());
        }
    }
    let mut best = (crossings(&order, &neighbours, items.len()), order.clone());
    for round in 0..ORDER_ROUNDS {
        if best.0 == 0 {
            break;
        }
        let down = round % 2 == 0;
        let mut position = positions(&order, items.len());
        let sweep: Vec<usize> = if down {
            (0..layers).collect()
        } else {
            (0..layers).rev().collect()
        };
        for layer in sweep {
            let side = if down { &neighbours.above } else { &neighbours.below };
            let middle = |index: usize| {
                let near = &side[index];
                if near.is_empty() {
                    return position[index] as f64;
                }
                near.iter().map(|other| position[*other] as f64).sum::<f64>() / near.len() as f64
            };
            let mut keyed: Vec<(f64, usize)> = order[layer].iter().map(|index| (middle(*index), *index)).collect();
            keyed.sort_by(|left, right| left.0.total_cmp(&right.0));
            order[layer] = keyed.into_iter().map(|(_, index)| index).collect();
            for (at, index) in order[layer].iter().enumerate() {
                position[*index] = at;
            }
        }
        let crossed = crossings(&order, &neighbours, items.len());
        if crossed < best.0 {
            best = (crossed, order.clone());
        }
    }
    best.1
}

/// What leads off the main way stands on its sides in turn; `right` says which is next.
fn around(items: &[Item], below: &[usize], right: &mut bool) -> Vec<usize> {
    let Some(main) = below.iter().position(|index| items[*index].main) else {
        return below.to_owned();
    };
    let mut sides = (Vec::new(), vec![below[main]]);
    for (at, index) in below.iter().enumerate() {
        match *right {
            _ if at == main => continue,
            true => sides.1.push(*index),
            false => sides.0.insert(0, *index),
        }
        *right = !*right;
    }
    sides.0.append(&mut sides.1);
    sides.0
}

fn positions(order: &Order, items: usize) -> Vec<usize> {
    let mut position = vec![0; items];
    for layer in order {
        for (at, index) in layer.iter().enumerate() {
            position[*index] = at;
        }
    }
    position
}

fn crossings(order: &Order, neighbours: &Neighbours, items: usize) -> usize {
    let position = positions(order, items);
    let mut crossed = 0;
    for layer in order {
        // Edges to the layer below in the order of their upper ends: each pair whose lower ends are turned crosses.
        let mut lower: Vec<usize> = Vec::new();
        for index in layer {
            let mut below: Vec<usize> = neighbours.below[*index].iter().map(|other| position[*other]).collect();
            below.sort_unstable();
            for at in below {
                let sorted = lower.partition_point(|other| *other <= at);
                crossed += lower.len() - sorted;
                lower.insert(sorted, at);
            }
        }
    }
    crossed
}

/// Top and height of each layer.
fn heights(items: &[Item], chains: &[Chain], order: &Order) -> Vec<(f64, f64)> {
    let labelled: BTreeSet<usize> = chains
        .iter()
        .filter(|chain| !chain.edge.label.is_empty())
        .filter_map(|chain| items.get(chain.labelled))
        .map(|item| item.layer)
        .collect();
    let mut top = 0.0;
    let mut heights = Vec::with_capacity(order.len());
    for (layer, indexes) in order.iter().enumerate() {
        let height = if layer % 2 == 1 {
            if labelled.contains(&layer) {
                LABEL_LAYER
            } else {
                EMPTY_LAYER
            }
        } else {
            indexes.iter().map(|index| items[*index].height).fold(0.0, f64::max)
        };
        heights.push((top, height));
        top += height + LAYER_GAP;
    }
    heights
}

fn drawn(
    chain: &Chain,
    items: &[Item],
    layers: &[(f64, f64)],
    top_of: &impl Fn(&Item) -> f64,
    name: &impl Fn(usize) -> Option<String>,
) -> Drawn {
    let last = chain.items.len() - 1;
    // Through each layer with something in it an edge runs straight down, so that it passes beside what is there; but
    // through its own label, which it has no need to avoid.
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (at, index) in chain.items.iter().enumerate() {
        let item = &items[*index];
        let (top, height) = layers[item.layer];
        if at == 0 {
            points.push((item.x, top_of(item) + item.height));
        } else if at == last {
            points.push((item.x, top_of(item)));
        } else if *index == chain.labelled && 0.0 < item.height {
            points.push((item.x, top + height / 2.0));
        } else if EMPTY_LAYER < height {
            points.push((item.x, top));
            points.push((item.x, top + height));
        }
    }
    if chain.reversed {
        points.reverse();
    }
    let mut path = format!("M {} {}", short(points[0].0), short(points[0].1));
    for pair in points.windows(2) {
        let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
        if (x1 - x2).abs() < 1.0 {
            path.push_str(&format!(" L {} {}", short(x2), short(y2)));
        } else {
            let middle = short((y1 + y2) / 2.0);
            path.push_str(&format!(
                " C {} {middle} {} {middle} {} {}",
                short(x1),
                short(x2),
                short(x2),
                short(y2)
            ));
        }
    }
    let label_at = items.get(chain.labelled).map_or((0.0, 0.0), |item| {
        let (top, height) = layers[item.layer];
        (item.x, top + height / 2.0)
    });
    Drawn {
        from: name(chain.edge.from),
        to: chain.edge.to.and_then(name),
        kind: chain.edge.kind,
        label: chain.edge.label.clone(),
        label_at,
        path,
        tip: points[points.len() - 1],
        up: chain.reversed,
    }
}

#[cfg(test)]
mod tests;
