from hypothesis import given
from hypothesis import strategies as st
from trajectory_strategies import PATIENT, turns

from swe_srl.trajectories.prompting import Prompting, render_contexts, render_messages

PROMPTINGS = st.builds(
    Prompting,
    system=st.sampled_from(["", "You work."]),
    context=st.sampled_from(["full", "last_k"]),
    rounds=st.integers(0, 3),
    history_thoughts=st.booleans(),
    observation_chars=st.integers(1, 20),
)


@PATIENT
@given(PROMPTINGS, st.lists(turns(), max_size=5))
def test_contexts_of_all_turns_are_the_ones_rendered_one_by_one(prompting, trajectory):
    contexts = list(render_contexts(prompting, "issue", trajectory))
    assert contexts == [render_messages(prompting, "issue", trajectory[:index]) for index in range(len(trajectory))]
    assert all(context[-1].role == "user" for context in contexts)
