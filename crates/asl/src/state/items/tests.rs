use proptest::prelude::*;

use super::rows;

#[test]
fn cells_end_at_delimiters_and_lines_unless_they_are_quoted() {
    let cells = |data: &str, delimiter| rows(data, delimiter);
    assert_eq!(cells("a,b\r\n1,2\n", ','), [["a", "b"], ["1", "2"]]);
    assert_eq!(cells("a|b", '|'), [["a", "b"]]);
    assert_eq!(cells("\"a,\nb\",\"say \"\"hi\"\"\"", ','), [["a,\nb", "say \"hi\""]]);
    assert_eq!(cells("a,\n,b\n\n", ','), [["a", ""], ["", "b"]]);
    assert!(cells("", ',').is_empty());
}

proptest! {
    #[test]
    fn a_table_is_read_as_it_was_written(table in prop::collection::vec(prop::collection::vec("[a,\"\n;]{1,4}", 3), 0..4)) {
        let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
        let text = table.iter().map(line).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(rows(&text, ','), table);
    }
}
