"""The special picture tasks do what they are named for, checked on pixels."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat
from tests.support.craft_checks import GREEN, RED, difference, edited, share_of

from modellix_server.sandbox.rendering import cutout
from modellix_server.sandbox.rendering.paint import UnusableMedia

EXPANSION = {f"{side}_offset": 0 for side in ("top", "bottom", "left", "right")}
EXPANSION |= {"angle": 0, "output_ratio": "", "x_scale": 1.0, "y_scale": 1.0, "limit_image_size": True}  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def person() -> Image.Image:
    image = Image.new("RGB", (600, 900), (225, 228, 230))
    draw = ImageDraw.Draw(image)
    draw.ellipse((250, 50, 350, 180), fill=(230, 180, 150))
    draw.rectangle((280, 170, 320, 215), fill=(225, 175, 145))
    draw.rectangle((190, 210, 410, 480), fill=(120, 120, 125))
    draw.rectangle((200, 470, 400, 850), fill=(70, 80, 120))
    return image


def garment(colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (500, 500), "white")
    ImageDraw.Draw(image).rectangle((60, 60, 440, 440), fill=colour)
    return image


def test_garments_are_worn_where_they_belong(work, person):
    options = {"resolution": -1, "restore_face": True}
    _, dressed = work(
        "tryon",
        options=options,
        person_image_url=person,
        top_garment_url=garment(RED),
        bottom_garment_url=garment(GREEN),
    )
    assert dressed.size == person.size
    assert share_of(dressed, RED, (220, 240, 380, 400)) > 0.9
    assert share_of(dressed, GREEN, (220, 560, 380, 760)) > 0.9
    head = (240, 40, 360, 160)
    assert difference(dressed.crop(head), person.crop(head)) < 0.5
    assert difference(dressed.crop((0, 0, 120, 900)), person.crop((0, 0, 120, 900))) < 0.5


@pytest.mark.parametrize(("resolution", "size"), [(1024, (576, 1024)), (1280, (720, 1280)), (-1, (600, 900))])
def test_try_on_sizes_and_another_face(work, person, resolution, size):
    options = {"resolution": resolution, "restore_face": False}
    _, dressed = work("tryon", options=options, person_image_url=person, top_garment_url=garment(RED))
    assert dressed.size == size
    if resolution == -1:
        assert difference(dressed.crop((260, 60, 340, 150)), person.crop((260, 60, 340, 150))) > 8


def test_the_refiner_sharpens_and_keeps_the_face(work, person):
    coarse = person.filter(ImageFilter.GaussianBlur(2))
    _, refined = work("refine", person_image_url=person, coarse_image_url=coarse, top_garment_url=garment(RED))
    edges = [ImageStat.Stat(image.filter(ImageFilter.FIND_EDGES)).sum[0] for image in (coarse, refined)]
    assert edges[1] > edges[0] * 1.1
    assert difference(refined.crop((270, 70, 330, 140)), person.crop((270, 70, 330, 140))) < 1
    with pytest.raises(UnusableMedia):
        work("refine", person_image_url=person, coarse_image_url=coarse.resize((300, 450)))


def test_parsing_gives_masks_cut_outs_and_boxes(work, person):
    made, _ = work("parse", options={"clothes_type": ["upper", "lower"]}, image_url=person)
    assert (len(made.files), len(made.companions), len(made.boxes)) == (2, 2, 2)
    upper, lower = made.boxes
    assert abs(upper[0] - 190) < 12
    assert abs(upper[2] - 410) < 12
    assert upper[1] < lower[1] < upper[3] < lower[3]
    for path, box in zip(made.companions, made.boxes, strict=True):
        cut = Image.open(path)
        assert cut.size == (box[2] - box[0], box[3] - box[1])
        assert (
            difference(
                cut.crop((80, 80, 120, 120)), person.crop((box[0] + 80, box[1] + 80, box[0] + 120, box[1] + 120))
            )
            < 2
        )
    lone, _ = work("parse", options={"clothes_type": ["upper"]}, image_url=garment(RED))
    assert all(abs(a - b) < 8 for a, b in zip(lone.boxes[0], (60, 60, 441, 441), strict=True))


EXPANDED = [
    ({"x_scale": 1.5, "y_scale": 2.0}, (1200, 1200), (200, 300)),
    ({"left_offset": 120, "top_offset": 60, "bottom_offset": 33}, (920, 693), (120, 60)),
    ({"output_ratio": "1:1", "x_scale": 3.0}, (800, 800), (0, 100)),
    ({"angle": 90, "right_offset": 100}, (700, 800), (0, 0)),
]


@pytest.mark.parametrize(("asked", "size", "place"), EXPANDED)
def test_out_painting_adds_around_and_keeps_the_centre(work, scenery, asked, size, place):
    _, made = work("outpaint", options={**EXPANSION, **asked}, image_url=scenery)
    assert made.size == size
    kept = scenery.rotate(asked.get("angle", 0), expand=True)
    centre = made.crop((*place, place[0] + kept.width, place[1] + kept.height))
    assert ImageChops.difference(centre, kept).getbbox() is None
    new = made.copy()
    new.paste((0, 0, 0), (*place, place[0] + kept.width, place[1] + kept.height))
    assert sum(ImageStat.Stat(new).mean) > 3
    assert not all(low == high for low, high in made.crop((0, 0, size[0], 8)).getextrema())


def test_a_turned_picture_gets_new_corners_and_nothing_to_do_is_refused(work, scenery):
    _, made = work("outpaint", options={**EXPANSION, "angle": 30}, image_url=scenery)
    assert made.size == scenery.rotate(30, expand=True).size
    assert ImageStat.Stat(made.crop((0, 0, 30, 30))).sum[1] > 1000
    for angle in (0, 180):
        with pytest.raises(UnusableMedia):
            work("outpaint", options={**EXPANSION, "angle": angle}, image_url=scenery)


@pytest.mark.parametrize("angle", [7, 45, 200, *(pytest.param(one, marks=pytest.mark.full) for one in (80, 133, 315))])
def test_the_corners_of_a_turned_picture_continue_it(work, scenery, angle):
    _, made = work("outpaint", options={**EXPANSION, "angle": angle}, image_url=scenery)
    turned = scenery.convert("RGBA").rotate(angle, expand=True)
    inside = turned.getchannel("A").point([0] * 255 + [255])
    rim = ImageChops.subtract(inside, inside.filter(ImageFilter.MinFilter(9)))
    beyond = ImageChops.subtract(inside.filter(ImageFilter.MaxFilter(9)), inside)
    soft = made.filter(ImageFilter.BoxBlur(6))
    colours = [ImageStat.Stat(soft, mask).mean for mask in (rim, beyond)]
    assert all(abs(one - other) < 12 for one, other in zip(*colours, strict=True)), colours
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):  # no corner is black or of one colour
        left, top = x * (made.width - 24), y * (made.height - 24)
        corner = made.crop((left, top, left + 24, top + 24))
        assert max(ImageStat.Stat(corner).mean) > 12
        assert corner.getcolors(1) is None


def test_a_large_result_is_kept_below_the_limit(work):
    noise = Image.effect_noise((1200, 1200), 90).convert("RGB")
    made, _ = work("outpaint", options={**EXPANSION, "x_scale": 2.5, "y_scale": 2.5}, image_url=noise)
    assert made.files[0].stat().st_size < 5 << 20


@pytest.mark.parametrize("prompt", ["a castle", "remove the moon"])
def test_a_masked_edit_changes_the_mask_and_nothing_else(work, scenery, prompt):
    mask = Image.new("L", scenery.size)
    ImageDraw.Draw(mask).rectangle((400, 100, 700, 400), fill=255)
    made = edited(work, "description_edit_with_mask", scenery, prompt, mask)
    changed = ImageChops.difference(made, scenery)
    assert changed.crop((400, 100, 701, 401)).getbbox() is not None
    changed.paste((0, 0, 0), (400, 100, 701, 401))
    assert changed.getbbox() is None


def test_removing_takes_a_thing_away(work):
    image = Image.new("RGB", (600, 600), (90, 140, 200))
    ImageDraw.Draw(image).ellipse((250, 250, 350, 350), fill=RED)
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rectangle((230, 230, 370, 370), fill=255)
    made = edited(work, "description_edit_with_mask", image, "erase the ball", mask)
    assert difference(made, Image.new("RGB", (600, 600), (90, 140, 200))) < 1


def test_expanding_and_enlarging_have_exact_sizes(work, scenery):
    made = edited(work, "expand", scenery, left_scale=1.5, top_scale=1.25)
    assert made.size == (1200, 750)
    assert ImageChops.difference(made.crop((400, 150, 1200, 750)), scenery).getbbox() is None
    large = edited(work, "super_resolution", scenery, upscale_factor=3)
    assert large.size == (2400, 1800)
    assert difference(large.resize(scenery.size), scenery) < 4
    assert edited(work, "super_resolution", scenery).size == scenery.size


def test_colour_is_given_to_a_grey_picture(work, scenery):
    made = edited(work, "colorization", scenery.convert("L").convert("RGB"))
    hue, saturation, _ = made.convert("HSV").split()
    assert ImageStat.Stat(saturation).mean[0] > 60
    assert ImageStat.Stat(hue).stddev[0] > 20


@pytest.mark.parametrize(
    ("function", "prompt"),
    [("stylization_all", "ink"), ("control_cartoon_feature", "a bear"), ("description_edit", "a red balloon")],
)
def test_styles_change_a_picture_that_stays_recognisable(work, scenery, function, prompt):
    made = edited(work, function, scenery, prompt)
    assert made.size == scenery.size
    assert 4 < difference(made, scenery) < 90
    assert edited(work, function, scenery, prompt + " or another").tobytes() != made.tobytes()


def test_strength_is_how_much_changes(work, scenery):
    weak, strong = (edited(work, "stylization_all", scenery, strength=value) for value in (0.0, 1.0))
    assert difference(strong, scenery) > 2 * difference(weak, scenery)


def test_a_local_style_leaves_the_ground(work, person):
    made = edited(work, "stylization_local", person, "make it of ice")
    assert difference(made.crop((220, 250, 380, 400)), person.crop((220, 250, 380, 400))) > 8
    assert difference(made.crop((0, 0, 120, 900)), person.crop((0, 0, 120, 900))) < 0.5


def drawing() -> Image.Image:
    image = Image.new("RGB", (700, 700), "white")
    ImageDraw.Draw(image).rectangle((150, 150, 550, 550), outline="black", width=14)
    return image


def test_a_doodle_and_a_sketch_are_painted_along_their_lines(work):
    plain = edited(work, "doodle", drawing(), "a house", is_sketch=True)
    options = {"style": "<auto>", "sketch_weight": 10, "sketch_extraction": False}
    made, painted = work("sketch", "a house", options, sketch_image_url=drawing())
    assert made.size == (768, 768)
    for image, line, beside in ((plain, (350, 157), (350, 350)), (painted, (384, 172), (384, 384))):
        assert image.convert("L").getpixel(line) + 40 < image.convert("L").getpixel(beside)
        assert ImageStat.Stat(image.convert("HSV").split()[1]).mean[0] > 15
    styles = {
        work("sketch", "a house", {**options, "style": style}, sketch_image_url=drawing())[1].tobytes()
        for style in (
            "<auto>",
            "<3d cartoon>",
            "<anime>",
            "<oil painting>",
            "<watercolor>",
            "<sketch>",
            "<chinese painting>",
            "<flat illustration>",
        )
    }
    assert len(styles) == 8


def test_a_portrait_is_repainted_with_a_short_side_of_1536(work, person):
    _, styled = work("repaint", options={"style_index": 3}, image_url=person)
    assert styled.size == (1536, 2304)
    assert difference(styled.resize(person.size), person) > 8
    _, other = work("repaint", options={"style_index": -1}, image_url=person, style_ref_url=garment(RED))
    assert share_of(other, RED, (600, 700, 900, 1100)) > 0.3


def test_a_background_is_made_behind_an_untouched_thing(work):
    thing = Image.new("RGBA", (500, 400))
    ImageDraw.Draw(thing).rectangle((200, 150, 300, 350), fill=(*RED, 255))
    options = {"noise_level": 300, "ref_prompt_weight": 0.5}
    _, made = work("background", "on a beach", options, base_image_url=thing)
    assert made.size == thing.size
    assert made.crop((200, 150, 301, 351)).getextrema() == tuple((part, part) for part in RED)
    assert ImageStat.Stat(made.crop((0, 0, 500, 100))).stddev[0] > 3
    _, guided = work(
        "background", "", {**options, "noise_level": 0}, base_image_url=thing, ref_image_url=garment(GREEN)
    )
    assert share_of(guided, GREEN, (60, 80, 180, 250)) > 0.8
    with pytest.raises(UnusableMedia):
        work("background", "x", options, base_image_url=garment(RED))


def test_a_figure_is_told_from_a_plain_ground_only(person, scenery):
    assert cutout.found(scenery) is None
    mask = cutout.found(person)
    assert mask is not None
    assert (mask.getpixel((300, 300)), mask.getpixel((50, 50))) == (255, 0)
