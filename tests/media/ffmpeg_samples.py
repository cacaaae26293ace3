"""Failed runs of ffmpeg 9.0.2, all really made.

Exit codes and lines are as observed; of each output only some of the lines are kept.
"""

from tests.media.sample import Sample
from tests.media.samples.devices import DEVICES
from tests.media.samples.encoders import ENCODERS
from tests.media.samples.inputs import INPUTS
from tests.media.samples.network import NETWORK
from tests.media.samples.outputs import OUTPUTS
from tests.media.samples.streams import STREAMS

SAMPLES: tuple[Sample, ...] = NETWORK + STREAMS + INPUTS + OUTPUTS + ENCODERS + DEVICES
