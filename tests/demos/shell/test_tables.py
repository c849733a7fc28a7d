from demos.shell import tables


def test_a_row_has_its_shape_parameters_time_and_a_bar_as_long_as_its_time():
    told = tables.parts([tables.Row("<b>a</b>", (1, 3, 8), 1234, 5.0), tables.Row("b", (1,), 0, 20.0)], slowest=20.0)
    first, second = told.split("</tr>")[1:3]
    assert "<b>a</b>" in first and "1 × 3 × 8" in first and "1 k" in first and "5.0 ms" in first
    assert 'style="width:25%"' in first and 'style="width:100%"' in second and "20 ms" in second
    assert tables.parts([tables.Row("a", (1,), 0, 0.0)], slowest=0.0).count("width:0%") == 1


def test_counts_are_short():
    assert [tables.counted(n) for n in (928, 14_300, 1_650_000)] == ["928", "14 k", "1.65 M"]
