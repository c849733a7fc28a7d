"""Threshold, ladder, attention and pixel of the tab Segment on numbers that are known, each on a page of its own."""

from demos.segment import ladder_panel, logit_files, logit_views, threshold_panel
from demos.shell.arrays import pack
from tests.browser import harness
from tests.demos.segment import hand_made


def show_threshold():
    layer = hand_made.layer()
    value = threshold_panel.value(
        layer.masks, pack(logit_views.logits(layer.masks)), logit_files.under(hand_made.picture()), token=layer.token
    )
    threshold_panel.Threshold(value, elem_id="it")


def show_ladder():
    layer = hand_made.layer()
    value = ladder_panel.value(
        layer,
        pack(logit_views.logits(layer.masks)),
        logit_files.under(hand_made.picture()),
        rungs=ladder_panel.rungs(layer.masks, hand_made.pictured().name),
    )
    ladder_panel.Ladder(value, elem_id="it")


harness.SHOWN |= {"sg_threshold": show_threshold, "sg_ladder": show_ladder}
