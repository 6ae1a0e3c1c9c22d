"""Clips made of given material, checked on their frames, lengths and sound."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from modellix_server.catalogue.samples import FOLDER as SAMPLES
from modellix_server.sandbox.rendering import footage
from modellix_server.sandbox.rendering.clips import Clip, film
from modellix_server.sandbox.rendering.footage import Footage, Take
from modellix_server.sandbox.rendering.montage import Filmed, Montage, cut
from modellix_server.sandbox.rendering.paint import Source, UnusableMedia

SIZE = (832, 480)
AREA = 832 * 480
SCALES = {"left_scale": 1.5, "right_scale": 1.0, "top_scale": 1.2, "bottom_scale": 1.0}


def source(image: Image.Image) -> Source:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Source(file.getvalue(), 10 << 20, (100, 4000))


RED = source(Image.new("RGB", (640, 480), (200, 40, 30)))
BLUE = source(Image.new("RGB", (480, 640), (30, 40, 200)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    """3 seconds of landscape with a tune."""
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    film(Clip("waves", 3, "m", 3, SIZE, dubbed=True), path)
    return path.read_bytes()


@pytest.fixture
def make(tmp_path, clip):
    """Cut a clip; what was reported, and the clip developed again."""

    def do(work: str, options=None, pictures=None, takes=(), size=None, **more) -> tuple[Filmed, Footage]:
        shots = {name: (Take(clip, 10 << 20),) for name in takes}
        path = tmp_path / "made.mp4"
        order = Montage(work, "a prompt", 4, "m", size, AREA, options or {}, pictures or {}, shots, **more)
        filmed = cut(order, path)
        developed = footage.develop(Take(path.read_bytes(), 100 << 20), tmp_path / "developed")
        assert developed.size == filmed.size
        assert abs(developed.seconds - filmed.seconds) < 0.06
        return filmed, developed

    return do


@pytest.fixture
def given(tmp_path, clip) -> Footage:
    return footage.develop(Take(clip, 10 << 20), tmp_path / "given")


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other.resize(one.size))).mean) / 3


def above(image: Image.Image) -> Image.Image:
    """Without the caption."""
    return image.crop((0, 0, image.width, round(image.height * 0.8)))


def is_colour(image: Image.Image, channel: int) -> bool:
    mean = ImageStat.Stat(image).mean
    return mean[channel] > 120 and all(mean[channel] > 2 * part for at, part in enumerate(mean) if at != channel)


@pytest.mark.full
def test_a_clip_is_continued_to_a_last_picture(make, given):
    made, shown = make("continue", {"duration": 6}, {"last_frame": (RED,)}, ["first_clip"], dubbed=True)
    assert (made.seconds, made.input_s, shown.sound) == (6, 0, True)
    assert difference(above(footage.frame(shown, 1)), above(footage.frame(given, 1))) < 4
    assert is_colour(above(footage.frame(shown, 6)), 0)
    made, shown = make("continue", {"duration": 2}, takes=["first_clip"])
    assert made.seconds == 2


def test_first_and_last_pictures(make):
    made, shown = make("continue", {"duration": 2}, {"first_frame": (RED,), "last_frame": (BLUE,)}, dubbed=True)
    assert made.size[0] > made.size[1]
    assert is_colour(above(footage.frame(shown, 0)), 0)
    assert is_colour(above(footage.frame(shown, 2)), 2)


def test_subjects_from_pictures_and_clips_are_in_the_scene(make):
    pictures = {"reference_urls": (RED, BLUE)}
    made, shown = make("subjects", {"duration": 2, "size": "832*480"}, pictures, ["reference_urls"], SIZE, counted_s=5)
    assert (made.size, made.seconds, made.input_s) == (SIZE, 2, 3)
    frame = footage.frame(shown, 1)
    for channel in (0, 2):
        strongest = frame.split()[channel]
        others = ImageChops.lighter(*(part for at, part in enumerate(frame.split()) if at != channel))
        clear = ImageChops.subtract(strongest, others).point([255 if value > 100 else 0 for value in range(256)])
        assert clear.histogram()[255] > 0.01 * SIZE[0] * SIZE[1]


def test_an_edited_clip_follows_its_input(make, given):
    made, shown = make("edit", {"duration": 0}, {"reference_image": (RED,)}, ["video"], counted_s=10)
    assert (made.seconds, made.input_s, made.size) == (pytest.approx(3, abs=0.05), pytest.approx(3, abs=0.05), SIZE)
    assert shown.sound
    changed = difference(above(footage.frame(shown, 1)), above(footage.frame(given, 1)))
    assert 4 < changed < 90
    corner = footage.frame(shown, 1).crop((SIZE[0] - 60, 20, SIZE[0] - 20, 50))
    assert is_colour(corner, 0)
    made, _ = make("edit", {"duration": 2}, takes=["video"], size=(480, 832), counted_s=10)
    assert (made.size, made.seconds) == ((480, 832), 2)


@pytest.mark.full
def test_a_picture_acts_and_a_picture_replaces(make, given):
    made, shown = make("act", {"mode": "wan-std"}, {"image_url": (BLUE,)}, ["video_url"])
    assert made.size[1] > made.size[0]
    assert abs(made.seconds - given.seconds) < 0.01
    assert shown.sound
    assert is_colour(footage.frame(shown, 1).crop((0, 300, 300, 500)), 2)
    made, shown = make("replace", {"mode": "wan-pro"}, {"image_url": (BLUE,)}, ["video_url"])
    frame = footage.frame(shown, 1)
    assert is_colour(frame.crop((380, 220, 450, 300)), 2)
    edge = (0, 0, 150, 300)
    assert difference(frame.crop(edge), footage.frame(given, 1).crop(edge)) < 4


@pytest.mark.full
@pytest.mark.parametrize("name", ["walk.mp4", "dance.mp4"])
def test_the_person_of_a_clip_is_replaced_and_the_new_one_moves_as_they_did(tmp_path, name):
    """The samples: a person in green; a clip of another in red (purple), who walks (dances)."""
    person = Source((SAMPLES / "person.png").read_bytes(), 10 << 20, (100, 4000))
    take = Take((SAMPLES / name).read_bytes(), 100 << 20)
    filmed = cut(
        Montage("replace", "", 4, "m", None, AREA, {}, {"image_url": (person,)}, {"video_url": (take,)}),
        tmp_path / "a.mp4",
    )
    shown = footage.develop(Take((tmp_path / "a.mp4").read_bytes(), 100 << 20), tmp_path / "shown")
    before = footage.develop(take, tmp_path / "before")
    old_colour, new_colour = {"walk.mp4": (193, 38, 61), "dance.mp4": (122, 78, 158)}[name], (63, 153, 138)
    middles = []
    for at_s in (0.2, 1.5, 2.7):
        old, new = (above(footage.frame(clip, at_s).resize(filmed.size)) for clip in (before, shown))
        was = near(old, old_colour)
        assert was.histogram()[255] > 1000
        assert near(new, old_colour).histogram()[255] < 0.03 * was.histogram()[255]
        shirt, worn = near(new, new_colour).getbbox(), was.getbbox()
        assert near(new, new_colour).histogram()[255] > 1000
        middles.append(((shirt[0] + shirt[2]) / 2, (worn[0] + worn[2]) / 2))
    if name == "walk.mp4":
        assert middles[-1][0] - middles[0][0] > 0.25 * filmed.size[0]
    assert all(abs(new - old) < 0.12 * filmed.size[0] for new, old in middles), middles


def near(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Where a picture has about this colour."""
    parts = ImageChops.difference(image, Image.new("RGB", image.size, colour)).split()
    apart = ImageChops.lighter(ImageChops.lighter(*parts[:2]), parts[2])
    return apart.point([255 if value < 30 else 0 for value in range(256)]).filter(ImageFilter.MedianFilter(3))


@pytest.mark.full
def test_an_edit_in_a_mask_leaves_the_rest(make, given):
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).rectangle((400, 0, 831, 479), fill=255)
    options = {"function": "video_edit"}
    _, shown = make("vace", options, {"mask_image_url": (source(mask),)}, ["video_url"], SIZE)
    made, before = footage.frame(shown, 1), footage.frame(given, 1)
    assert difference(made.crop((0, 0, 380, 300)), before.crop((0, 0, 380, 300))) < 4
    assert difference(made.crop((420, 0, 832, 300)), before.crop((420, 0, 832, 300))) > 5
    masks = {"function": "video_edit"}
    make("vace", masks, takes=["video_url", "mask_video_url"], size=SIZE)


@pytest.mark.full
def test_the_other_functions(make, given):
    made, shown = make("vace", {"function": "video_outpainting", **SCALES}, takes=["video_url"])
    assert made.size == (1248, 576)
    inner = footage.frame(shown, 1).crop((416, 96, 1248, 480))
    assert difference(inner, footage.frame(given, 1).crop((0, 0, 832, 384))) < 6
    made, shown = make("vace", {"function": "video_repainting"}, takes=["video_url"])
    assert difference(above(footage.frame(shown, 1)), above(footage.frame(given, 1))) > 4
    options = {"function": "image_reference", "obj_or_bg": ["obj", "bg"]}
    made, shown = make("vace", options, {"ref_images_url": (BLUE, RED)}, size=SIZE)
    assert made.seconds == 5
    assert is_colour(footage.frame(shown, 2).crop((0, 0, 100, 200)), 0)
    assert is_colour(footage.frame(shown, 2).crop((400, 200, 430, 240)), 2)


@pytest.mark.parametrize(
    ("pictures", "takes", "red_at_s"),
    [
        ({"last_frame_url": (RED,)}, ["first_clip_url"], 5),
        pytest.param({"first_frame_url": (RED,)}, ["last_clip_url"], 0, marks=pytest.mark.full),
        ({}, ["first_clip_url", "last_clip_url"], None),
        ({"first_frame_url": (RED,)}, [], 0),
        pytest.param({"last_frame_url": (RED,)}, [], 5, marks=pytest.mark.full),
    ],
)
def test_extensions_last_5_seconds(make, pictures, takes, red_at_s):
    made, shown = make("vace", {"function": "video_extension"}, pictures, takes)
    assert made.seconds == 5
    if red_at_s is not None:
        assert is_colour(above(footage.frame(shown, red_at_s)), 0)


@pytest.mark.parametrize(
    ("take", "what"),
    [
        (lambda clip: Take(clip, 1000), "size"),
        (lambda clip: Take(clip, 10 << 20, (1, 700)), "resolution"),
        (lambda clip: Take(clip, 10 << 20, seconds=(4, 10)), "duration"),
        (lambda _: Take(b"#EXTM3U\nfile:///etc/passwd", 1000), "clip"),
        (lambda clip: Take(clip[:3000], 10 << 20), "clip"),
    ],
)
def test_a_clip_that_breaks_a_limit(tmp_path, clip, take, what):
    with pytest.raises(UnusableMedia) as bad:
        footage.frame(footage.develop(take(clip), tmp_path / "x"), 0)
    assert bad.value.what == what
