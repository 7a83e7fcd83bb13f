//! Where the devices of a drawing stand: in columns, by their distance from the customer's hosts, so that a packet's way to AWS reads
//! from left to right.
//!
//! Neighbours are at most one column apart, because columns are distances in links. Within a column the order is that in which
//! the lines cross least, found by sweeps of barycentres (Sugiyama, Tagawa and Toda, 1981); heights are as near to those of the
//! neighbours as the distance between boxes allows (isotonic regression). All is a function of the graph.

use petgraph::graph::{NodeIndex, UnGraph};

use super::graph::{Graph, Line, Shape, Zone};

/// Sweeps through all columns, there and back.
const SWEEPS: usize = 12;

/// The place of a shape.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Spot {
    /// The column, from 0.
    pub column: usize,
    /// The place in the column, from 0 at the top.
    pub order: usize,
    /// The height of its middle, in boxes: 1 is the least distance of two.
    pub row: f64,
}

/// A place for each shape.
pub(super) fn places(graph: &Graph) -> Vec<Spot> {
    let mut net: UnGraph<(), ()> = UnGraph::default();
    let nodes: Vec<NodeIndex> = graph.shapes.iter().map(|_| net.add_node(())).collect();
    // Tunnels lie over links, and would shorten the way.
    for edge in graph.edges.iter().filter(|edge| edge.line != Line::Tunnel) {
        let [a, b] = edge.ends.map(|end| nodes[end]);
        if a != b {
            net.update_edge(a, b, ());
        }
    }
    let columns = columns(&graph.shapes, &net);
    let order = ordered(columns, &net);
    let rows = rows(&order, &net);
    let mut spots = vec![Spot::default(); graph.shapes.len()];
    for (column, shapes) in order.iter().enumerate() {
        for (place, &shape) in shapes.iter().enumerate() {
            spots[shape] = Spot { column, order: place, row: rows[shape] };
        }
    }
    spots
}

/// Breadth first from the customer's hosts; what cannot be reached from there begins again at the left.
fn columns(shapes: &[Shape], net: &UnGraph<(), ()>) -> Vec<Vec<usize>> {
    let is_source = |shape: &Shape| shape.zone == Zone::Customer && ["host", "VPN client"].contains(&shape.kind);
    let mut distance: Vec<Option<usize>> = vec![None; shapes.len()];
    let mut sources: Vec<usize> = (0..shapes.len()).filter(|i| is_source(&shapes[*i])).collect();
    loop {
        if sources.is_empty() {
            // The customer's side first, then the order of the plan.
            let unseen = (0..shapes.len()).filter(|i| distance[*i].is_none());
            let Some(first) = unseen.min_by_key(|i| (shapes[*i].zone, *i)) else { break };
            sources.push(first);
        }
        let mut layer = 0;
        while !sources.is_empty() {
            let mut next = Vec::new();
            for shape in sources {
                if distance[shape].is_none() {
                    distance[shape] = Some(layer);
                    let mut around: Vec<usize> = net.neighbors(NodeIndex::new(shape)).map(NodeIndex::index).collect();
                    around.sort_unstable();
                    next.extend(around.into_iter().filter(|other| distance[*other].is_none()));
                }
            }
            sources = next;
            layer += 1;
        }
        sources = Vec::new();
    }
    let mut columns: Vec<Vec<usize>> = Vec::new();
    for (shape, distance) in distance.iter().enumerate() {
        let column = distance.unwrap_or_default();
        columns.resize(columns.len().max(column + 1), Vec::new());
        columns[column].push(shape);
    }
    columns
}

/// The columns in the order in which fewest lines cross.
fn ordered(mut columns: Vec<Vec<usize>>, net: &UnGraph<(), ()>) -> Vec<Vec<usize>> {
    let mut best = columns.clone();
    let mut fewest = crossings(&best, net);
    for sweep in 0..SWEEPS {
        let count = columns.len();
        for step in 1..count {
            let (here, there) = if sweep % 2 == 0 { (step, step - 1) } else { (count - 1 - step, count - step) };
            let place = place_of(&columns[there], net.node_count());
            let mut keyed: Vec<(f64, usize, usize)> = Vec::new();
            for (now, &shape) in columns[here].iter().enumerate() {
                let around: Vec<f64> =
                    net.neighbors(NodeIndex::new(shape)).filter_map(|other| place[other.index()]).collect();
                let mean = around.iter().sum::<f64>() / around.len().max(1) as f64;
                keyed.push((if around.is_empty() { now as f64 } else { mean }, now, shape));
            }
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            columns[here] = keyed.into_iter().map(|(_, _, shape)| shape).collect();
        }
        let crossed = crossings(&columns, net);
        if crossed < fewest {
            (fewest, best) = (crossed, columns.clone());
        }
    }
    best
}

/// The place of each shape in a column, if it is there.
fn place_of(column: &[usize], shapes: usize) -> Vec<Option<f64>> {
    let mut place = vec![None; shapes];
    for (at, shape) in column.iter().enumerate() {
        place[*shape] = Some(at as f64);
    }
    place
}

/// How many pairs of lines between neighbouring columns cross, and how many boxes are passed by lines within a column.
fn crossings(columns: &[Vec<usize>], net: &UnGraph<(), ()>) -> usize {
    let mut place = vec![(0, 0); net.node_count()];
    for (column, shapes) in columns.iter().enumerate() {
        for (at, shape) in shapes.iter().enumerate() {
            place[*shape] = (column, at);
        }
    }
    let mut between: Vec<Vec<(usize, usize)>> = vec![Vec::new(); columns.len()];
    let mut passed = 0;
    for edge in net.edge_indices() {
        let Some((a, b)) = net.edge_endpoints(edge) else { continue };
        let (mut a, mut b) = (place[a.index()], place[b.index()]);
        if a > b {
            (a, b) = (b, a);
        }
        if a.0 == b.0 {
            passed += b.1 - a.1 - 1;
        } else {
            between[a.0].push((a.1, b.1));
        }
    }
    let crossed = |lines: &Vec<(usize, usize)>| {
        let pairs = lines.iter().enumerate().flat_map(|(i, a)| lines[i + 1..].iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1)).count()
    };
    passed + between.iter().map(crossed).sum::<usize>()
}

/// The height of each shape.
fn rows(columns: &[Vec<usize>], net: &UnGraph<(), ()>) -> Vec<f64> {
    let mut row = vec![0.0; net.node_count()];
    for column in columns {
        for (at, &shape) in column.iter().enumerate() {
            row[shape] = at as f64 - (column.len() as f64 - 1.0) / 2.0;
        }
    }
    for sweep in 0..SWEEPS {
        let order: Vec<usize> =
            if sweep % 2 == 0 { (0..columns.len()).collect() } else { (0..columns.len()).rev().collect() };
        for column in order {
            let wished: Vec<f64> = columns[column]
                .iter()
                .map(|&shape| {
                    let around: Vec<f64> = net.neighbors(NodeIndex::new(shape)).map(|o| row[o.index()]).collect();
                    if around.is_empty() { row[shape] } else { around.iter().sum::<f64>() / around.len() as f64 }
                })
                .collect();
            for (&shape, height) in columns[column].iter().zip(apart(&wished)) {
                row[shape] = height;
            }
        }
    }
    let top = row.iter().copied().fold(f64::INFINITY, f64::min);
    // Sums in another order would differ in their last bits: a hundredth of a box is as fine as anybody sees.
    row.iter().map(|height| ((height - top) * 100.0).round() / 100.0).collect()
}

/// The heights nearest to those wished (least squares) that keep the order and a distance of 1: pool adjacent violators.
fn apart(wished: &[f64]) -> Vec<f64> {
    // With the distances taken out, what is asked for is a sequence that does not fall.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (at, height) in wished.iter().enumerate() {
        pools.push((height - at as f64, 1));
        while let [.., (low, m), (high, n)] = pools[..]
            && low > high
        {
            let count = m + n;
            let mean = (low * m as f64 + high * n as f64) / count as f64;
            pools.truncate(pools.len() - 2);
            pools.push((mean, count));
        }
    }
    let flat = pools.into_iter().flat_map(|(height, count)| std::iter::repeat_n(height, count));
    flat.enumerate().map(|(at, height)| height + at as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_as_near_to_their_wish_as_their_distance_allows() {
        assert_eq!(apart(&[0.0, 5.0]), [0.0, 5.0], "a wish that can be granted is");
        assert_eq!(apart(&[3.0, 3.0]), [2.5, 3.5], "two that want the same place share the way");
        assert_eq!(apart(&[4.0, 1.0, 1.0]), [1.0, 2.0, 3.0], "(4 + 0 - 1) / 3 = 1");
        assert!(apart(&[]).is_empty());
    }

    /// a1-b2 and a2-b1 cross as they are written, and need not.
    #[test]
    fn lines_are_untangled() {
        let mut net: UnGraph<(), ()> = UnGraph::default();
        let n: Vec<_> = (0..4).map(|_| net.add_node(())).collect();
        net.add_edge(n[0], n[3], ());
        net.add_edge(n[1], n[2], ());
        let tangled = vec![vec![0, 1], vec![2, 3]];
        assert_eq!(crossings(&tangled, &net), 1);
        assert_eq!(crossings(&ordered(tangled, &net), &net), 0);
    }
}
