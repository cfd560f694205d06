use super::*;

fn names(count: usize) -> (String, Vec<Piece>) {
    let mut payload = String::new();
    let mut pieces = Vec::new();
    for n in 0..count {
        let start = payload.len();
        payload.push_str(&format!("name{n}"));
        pieces.push(Piece::of_payload(start, payload.len()));
    }
    (payload, pieces)
}

#[test]
fn of_several_fields_of_one_name_the_first_counts_however_many_there_are() {
    for count in [1, 2, FEW - 1, FEW, FEW + 1, 3 * FEW, 5000] {
        let (payload, pieces) = names(count);
        let mut buffer = RowBuffer::default();
        for _ in 0..2 {
            buffer.begin(payload.len(), 0);
            for round in 0..3 {
                for piece in &pieces {
                    buffer.push(&payload, *piece, Cell::bool(round == 0));
                }
            }
            let row = buffer.row(&payload, "p", "c");
            assert_eq!(row.fields().len(), count);
            assert!(row.fields().all(|field| field.value == Value::Bool(true)));
        }
    }
}

#[test]
fn names_with_and_without_numbers_are_told_apart() {
    let (payload, pieces) = names(FEW * 2);
    let mut buffer = RowBuffer::default();
    for numbered in [1, FEW - 1, FEW + 1] {
        buffer.begin(payload.len(), 0);
        for (number, piece) in pieces[..numbered].iter().enumerate() {
            buffer.push_new(*piece, number as u32, Cell::NULL);
        }
        for piece in &pieces {
            buffer.push(&payload, *piece, Cell::NULL);
        }
        assert_eq!(buffer.row(&payload, "p", "c").fields().len(), pieces.len());
    }
}

#[test]
fn written_text_lies_behind_the_payload() {
    let payload = "abc";
    let mut buffer = RowBuffer::default();
    buffer.begin(payload.len(), 0);
    let (empty, ()) = buffer.write(|_| ());
    let (written, ()) = buffer.write(|text| text.push_str("déf"));
    assert_eq!(buffer.text(payload, empty), "");
    assert_eq!(buffer.text(payload, written), "déf");
    assert_eq!(buffer.text(payload, Piece::of_payload(1, 3)), "bc");
}

#[test]
fn a_huge_record_does_not_leave_huge_scratch_behind() {
    let (payload, pieces) = names(100_000);
    let mut buffer = RowBuffer::default();
    buffer.begin(payload.len(), 0);
    for piece in &pieces {
        buffer.push(&payload, *piece, Cell::NULL);
    }
    buffer.write(|text| text.push_str(&payload));
    buffer.begin(0, 0);
    assert!(buffer.slots.capacity() <= KEPT_SLOTS);
    assert!(buffer.written.capacity() <= KEPT_TEXT);
    assert!(buffer.index.capacity() <= 2 * KEPT_SLOTS);
}
