"""Per-record gradients and what they give away: autograd in a loop, closed forms, enumeration, limits."""

import numpy as np
import pytest
import torch
from torch import nn

from mialab import metrics, models, norms
from mialab.game import Outcome
from mialab.leaks import aggregates
from mialab.leaks import gradients as gr
from mialab.per_example import capture
from mialab.per_example.gradients import by_record, keeps_apart
from mialab.tradeoff import GaussianCurve
from stand_ins import log_likelihood_ratio

SENTENCES = ("sentences", lambda: models.token_transformer(9, 5, 4, width=8, heads=2, blocks=2))
MAKERS = dict(
    [
        SENTENCES,
        ("images", lambda: models.tiny_transformer(1, 4, 4, width=8, heads=2, blocks=2)),
        ("perceptron", lambda: models.mlp(16, (6,), 4)),
        ("convolutions", lambda: models.small_cnn(1, 4, 4, width=4, norm="group")),
        ("batch norm at work", lambda: models.small_cnn(1, 4, 4, width=4, norm="batch").eval()),
        ("no bias", lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 4, bias=False))),
    ]
)


def some(kind, rng, records=6):
    """Return a model in double precision with random weights, and records for it."""
    torch.manual_seed(int(rng.integers(2**31)))
    model = MAKERS[kind]().double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    shape = (records, 5) if kind == "sentences" else (records, 1, 4, 4)
    x = rng.integers(9, size=shape).astype(float) if kind == "sentences" else rng.normal(size=shape)
    return model, x, rng.integers(4, size=records)


def in_a_loop(model, x, y):
    rows = []
    for record, label in zip(torch.from_numpy(x), torch.from_numpy(y), strict=True):
        loss = nn.functional.cross_entropy(model(record[None]), label[None])
        pieces = torch.autograd.grad(loss, list(model.parameters()))
        rows.append(torch.cat([piece.flatten() for piece in pieces]).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("kind", MAKERS)
def test_oracle_autograd_in_a_loop(kind, rng):
    model, x, y = some(kind, rng)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    np.testing.assert_allclose(gr.per_record(model, x, y), in_a_loop(model, x, y), atol=1e-12)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("kind", ["sentences", "images", "perceptron", "no bias", "convolutions"])
def test_oracle_one_run_and_vmap_agree(kind, rng):
    model, x, y = some(kind, rng)
    assert keeps_apart(model)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    found, expected = capture.gradients(model, inputs, labels), by_record(model, inputs, labels)
    assert found.keys() == expected.keys()
    for name, gradients in expected.items():
        torch.testing.assert_close(found[name].view_as(gradients), gradients)


def test_oracle_a_layer_that_is_asked_twice(rng):
    shared = nn.Linear(16, 16)
    twice = nn.Sequential(nn.Flatten(), shared, nn.Tanh(), shared, nn.Linear(16, 4)).double()
    _, x, y = some("perceptron", rng)
    ours = gr.per_record(twice, x, y)
    np.testing.assert_allclose(ours, in_a_loop(twice, x, y), atol=1e-12)
    sent = gr.local_updates(twice, x, y, np.arange(6)[None], steps=2, learning_rate=1e-6)
    np.testing.assert_allclose(sent[0], ours.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(3), nn.LSTM(3, 3), nn.Embedding(3, 2, max_norm=1.0), nn.Dropout(0.0)]
)
def test_coverage_one_run_is_not_for_layers_that_are_not_known(layer):
    assert not keeps_apart(nn.Sequential(nn.Linear(3, 3), layer))


def test_oracle_frozen_unused_and_padded_weights_have_gradients_as_well(rng):
    """In the order of the parameters; what needs no gradient needs none afterwards."""

    class Reads(nn.Sequential):
        def __init__(self):
            layers = nn.Linear(2, 2), nn.Embedding(4, 3, padding_idx=1), nn.Linear(3, 3), nn.Linear(3, 4)
            super().__init__(*layers, nn.ReLU(inplace=True))

        def forward(self, x):
            return self[3](self[4](self[2](self[1](x.long()))).mean(1))

    model, x, y = Reads().double(), rng.integers(4, size=(6, 5)), rng.integers(4, size=6)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    expected = torch.cat([one.flatten(1) for one in by_record(model, inputs, labels).values()], dim=1)
    model[2].weight.requires_grad_(False)
    np.testing.assert_allclose(gr.per_record(model, x, y), expected, atol=1e-12)
    assert [weight.requires_grad for weight in model[2].parameters()] == [False, True]


def test_oracle_tied_weights_are_not_counted_twice(rng):
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    model[2].weight = model[0].weight
    x, y = rng.normal(size=(6, 3)), rng.integers(3, size=6)
    with pytest.raises(capture.UnsuitableError, match="is shared, or used past its layer"):
        capture.gradients(model, torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_allclose(gr.per_record(model, x, y), in_a_loop(model, x, y), atol=1e-12)


@pytest.mark.parametrize("kind", ["sentences", "convolutions"])
def test_limit_chunks_change_nothing(kind, rng):
    model, x, y = some(kind, rng)
    whole = gr.per_record(model, x, y)
    np.testing.assert_allclose(gr.per_record(model, x, y, memory_bytes=1), whole, atol=1e-14)
    mask = gr.part(model, "blocks.1" if kind == "sentences" else "0")
    np.testing.assert_allclose(gr.per_record(model, x, y, columns=mask), whole[:, mask], atol=1e-14)


def test_limit_a_record_without_loss_leaves_nothing(rng):
    model, x, _ = some("perceptron", rng)
    with torch.no_grad():
        model[-1].bias[0] = 1e4
    gradients = gr.per_record(model, x, np.zeros(len(x), dtype=int))
    assert not gradients.any()
    np.testing.assert_array_equal(gr.alignment(np.ones(gradients.shape[1]), gradients), 0)


# --- heads, projections, tokens ------------------------------------------------------------------------


def test_definition_parts_are_rows_and_columns(rng):
    model, _, _ = some("sentences", rng)
    marks = {
        f"{p}.{k}": np.zeros((8, 8) if k == "weight" else 8, dtype=bool)
        for p in ("query", "key", "value", "output")
        for k in ("weight", "bias")
    }
    for projection in ("query", "key", "value"):
        marks[f"{projection}.weight"][4:], marks[f"{projection}.bias"][4:] = True, True
    marks["output.weight"][:, 4:] = True
    for name, expected in marks.items():
        whole = gr.part(model, f"blocks.0.attention.{name}")
        assert whole.sum() == expected.size
        if expected.any():
            got = gr.part(model, f"blocks.0.attention.{name}", head=1)
            np.testing.assert_array_equal(got[whole].reshape(expected.shape), expected)
    heads = [gr.part(model, "blocks.0.attention", head=h) for h in (0, 1)]
    everything = gr.part(model, "blocks.0.attention")
    output_bias = gr.part(model, "blocks.0.attention.output.bias")
    np.testing.assert_array_equal(heads[0] | heads[1] | output_bias, everything)
    assert not (heads[0] & heads[1]).any()


def one_head(rng):
    """Return one head of attention in double precision, tokens, and what comes back to its output."""
    attention = models.Attention(6, heads=1).double()
    attention.output = nn.Identity()
    return attention, torch.from_numpy(rng.normal(size=(1, 5, 6))), torch.from_numpy(rng.normal(size=(5, 6)))


def test_oracle_the_value_gradient_is_an_attention_weighted_sum_over_tokens(rng):
    attention, x, delta = one_head(rng)
    theirs = torch.autograd.grad((attention(x)[0] * delta).sum(), attention.value.weight)[0]
    a = attention.weights(x)[0, 0].detach().numpy()
    ours = sum(np.outer(sum(a[i, j] * delta[i].numpy() for i in range(5)), x[0, j]) for j in range(5))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("sharpness", [1.0, 200.0])
def test_oracle_query_and_key_gradients_go_through_the_softmax(rng, sharpness):
    attention, x, delta = one_head(rng)
    with torch.no_grad():
        attention.query.weight.mul_(sharpness)
    wanted = [attention.query.weight, attention.key.weight]
    theirs = torch.autograd.grad((attention(x)[0] * delta).sum(), wanted)
    a, (q, k, v) = (
        attention.weights(x)[0, 0].detach(),
        (layer(x)[0].detach() for layer in (attention.query, attention.key, attention.value)),
    )
    heard = delta @ v.T
    s = a * (heard - (a * heard).sum(1, keepdim=True)) / np.sqrt(6)
    for ours, expected in zip(((s @ k).T @ x[0], (s.T @ q).T @ x[0]), theirs, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-6)
    if sharpness > 1:  # saturated: hardly anything comes back to queries
        assert attention.weights(x)[0, 0].max(dim=1).values.min() > 0.9
        assert theirs[0].norm() < delta.norm()


@pytest.mark.parametrize("layer", ["query", "key", "value", "output"])
@pytest.mark.parametrize("head", [None, 1])
def test_definition_tokens_shares(rng, layer, head):
    """Let the layer see one token at a time: a hook stops everything that comes back from the others."""
    model, x, y = some("sentences", rng, records=3)
    name = f"blocks.1.attention.{layer}"
    got = gr.by_token(model, x, y, name, head=head)
    mask = gr.part(model, f"{name}.weight", head=head)
    for token in range(5):
        only = torch.zeros(5, 1, dtype=torch.double)
        only[token] = 1

        def tell(_layer, _args, output, only=only):
            return output * only + output.detach() * (1 - only)

        hook = model.get_submodule(name).register_forward_hook(tell)
        shares = np.linalg.norm(in_a_loop(model, x, y)[:, mask], axis=1)
        hook.remove()
        np.testing.assert_allclose(got[:, token], shares, atol=1e-12)


def test_limit_one_block_one_answer_attention_and_value_go_together(rng):
    """Only the first token answers, so a token's share is attention · |δ| · |x|."""
    model = models.token_transformer(9, 5, 4, width=8, heads=2, blocks=1).double()
    x, y = rng.integers(9, size=(4, 5)).astype(float), rng.integers(4, size=4)
    with torch.no_grad():
        heard = model.blocks[0].norm_1(model.tokens(torch.from_numpy(x))).norm(dim=-1).numpy()
    maps = gr.attention_maps(model, x)
    for head in (0, 1):
        share = gr.by_token(model, x, y, "blocks.0.attention.value", head=head) / heard
        ratio = share / maps[0, :, head, 0]
        np.testing.assert_allclose(ratio, ratio[:, :1].repeat(5, axis=1), rtol=1e-9)


def test_definition_attention_maps_are_the_blocks_own(rng):
    model, x, _ = some("images", rng)
    seen = []
    hooks = [
        block.attention.register_forward_hook(lambda layer, args, _out: seen.append(layer.weights(args[0])))
        for block in model.blocks
    ]
    model(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    np.testing.assert_allclose(gr.attention_maps(model, x), torch.stack(seen).detach(), atol=1e-12)


# --- what needs no statistics --------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3])
def test_oracle_the_token_set_by_enumeration(rng, steps):
    model, x, y = some("sentences", rng, records=40)
    for size in (1, 3, 5):
        rows = rng.permutation(40)[:size]
        sent = gr.local_updates(model, x, y, rows[None], steps=steps, learning_rate=0.1)[0]
        embedding = sent[gr.part(model, "embed")].reshape(9, 8)
        np.testing.assert_array_equal(np.flatnonzero(gr.tokens_in(embedding)), np.unique(x[rows]))


def test_oracle_one_record_through_a_linear_layer(rng):
    model, x, y = some("perceptron", rng)
    for record in range(3):
        gradient = gr.per_record(model, x, y)[record]
        weight, bias = (gradient[gr.part(model, f"1.{kind}")] for kind in ("weight", "bias"))
        np.testing.assert_allclose(gr.first_input(weight.reshape(6, 16), bias), x[record].ravel(), atol=1e-9)


def test_limit_a_batch_of_two_gives_a_mixture(rng):
    delta, x = rng.normal(size=(2, 5)), rng.normal(size=(2, 3))
    mixture = gr.first_input(delta.T @ x, delta.sum(axis=0))
    assert min(np.abs(mixture - one).max() for one in x) > 0.1


# --- updates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["images", "perceptron"])
def test_definition_local_steps_in_a_plain_loop(kind, rng):
    model, x, y = some(kind, rng)
    batches = np.array([[0, 1, 2], [5, 4, 3]])
    sent = gr.local_updates(model, x, y, batches, steps=3, learning_rate=0.2)
    for row, ours in zip(batches, sent, strict=True):
        alone = MAKERS[kind]().double()
        alone.load_state_dict(model.state_dict())
        optimizer = torch.optim.SGD(alone.parameters(), lr=0.2)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(alone(torch.from_numpy(x[row])), torch.from_numpy(y[row])).backward()
            optimizer.step()
        moved = [(a - b).flatten() for a, b in zip(model.parameters(), alone.parameters(), strict=True)]
        np.testing.assert_allclose(ours, torch.cat(moved).detach().numpy() / 0.6, atol=1e-10)


def test_limit_one_step_is_the_mean_and_clients_add_up_to_one(rng):
    model, x, y = some("images", rng)
    gradients = gr.per_record(model, x, y)
    clients = gr.local_updates(model, x, y, np.array([[0, 1], [2, 3], [4, 5]]), steps=1, learning_rate=0.3)
    np.testing.assert_allclose(clients[1], gradients[2:4].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(clients.mean(axis=0), gradients.mean(axis=0), atol=1e-12)


# --- tracing -------------------------------------------------------------------------------------------


def test_limit_a_batch_of_one_has_alignment_one(rng):
    gradients = rng.normal(size=(5, 30))
    scores = gr.alignment(gradients[3], gradients)
    assert scores.argmax() == 3
    assert scores[3] == pytest.approx(1)
    np.testing.assert_array_equal(gr.alignment(np.zeros(30), gradients), 0)


@pytest.mark.parametrize(("references", "features"), [(50, 4), (8, 20)])
def test_definition_the_ridge_ratio_with_the_matrix_written_out(rng, references, features):
    reference = rng.normal(size=(references, features)) * np.linspace(0.5, 2, features)
    update, gradients, n = rng.normal(size=features), rng.normal(size=(3, features)), 7
    covariance = np.cov(reference, rowvar=False)
    ridge = 0.05 * np.linalg.eigvalsh(covariance).max()
    inverse = np.linalg.inv(covariance + ridge * np.eye(features))
    u, d = update - reference.mean(axis=0), gradients - reference.mean(axis=0)
    expected = [one @ inverse @ u - one @ inverse @ one / (2 * n) for one in d]
    population = gr.Ridge.of(reference, 0.05)
    np.testing.assert_allclose(population.log_ratio(update, gradients, n), expected)
    each = population.log_ratio(np.stack([update] * 3), gradients, n)
    np.testing.assert_allclose(each, expected)


def test_limit_without_ridge_and_many_references_it_is_the_known_ratio(rng):
    reference, n = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)), 5000
    update, gradients = reference[:n].mean(axis=0) + 0.01, rng.normal(size=(6, 5))
    mean, covariance = reference.mean(axis=0), np.cov(reference, rowvar=False)
    theirs = log_likelihood_ratio(update, gradients, mean, covariance, n)
    ours = gr.Ridge.of(reference, 1e-9).log_ratio(update, gradients, n)
    np.testing.assert_allclose(ours, theirs, rtol=0.02, atol=0.02)


def test_oracle_weights_are_the_members(rng):
    gradients = rng.normal(size=(40, 60)) * np.geomspace(1e-3, 1e3, 40)[:, None]
    member = rng.random(40) < 0.5
    np.testing.assert_allclose(
        gr.weights(gradients[member].mean(axis=0), gradients), member / member.sum(), atol=1e-10
    )


@pytest.mark.parametrize("features", [1, 10])
def test_oracle_the_participation_ratio_of_equal_variances_is_their_number(rng, features):
    records = rng.normal(size=(20_000, features)) @ np.linalg.qr(rng.normal(size=(features, features)))[0]
    assert gr.participation_ratio(records) == pytest.approx(features, rel=0.01)
    variances = np.array([4.0, 1.0, 1.0])
    few = np.repeat(np.sqrt(variances), 2)[:, None] * np.repeat(np.eye(3), 2, axis=0)
    few[1::2] *= -1
    assert gr.participation_ratio(few) == pytest.approx(variances.sum() ** 2 / (variances**2).sum())


def played(gradients, n, games, score, rng):
    """Play: a coin decides whether the candidate is among the n records, or another has its place."""
    rows = np.stack([rng.permutation(len(gradients))[: n + 1] for _ in range(games)])
    member = rng.random(games) < 0.5
    candidates = gradients[np.where(member, rows[:, 0], rows[:, n])]
    return Outcome(score(gradients[rows[:, :n]].mean(axis=1), candidates), member)


def test_coverage_the_inner_product_obeys_the_participation_ratio(rng):
    """On Gaussian gradients of unequal variances: its power is in the band, the rank's promise is not."""
    spread, n = np.linspace(0.2, 2, 64), 16
    gradients = rng.normal(size=(4000, 64)) * spread
    outcome = played(
        gradients, n, 3000, lambda u, g: np.sum(u * g, axis=1) / np.linalg.norm(g * spread, axis=1), rng
    )
    band = metrics.tpr_at(outcome, 0.05, confidence=0.999)
    distance = np.sqrt(gr.participation_ratio(gradients))
    assert band.low <= aggregates.expected_tpr(0.05, distance, n) <= band.high
    assert band.high < aggregates.expected_tpr(0.05, 8.0, n)


def test_coverage_controls(rng):
    """Members are found; with shuffled coins, or in an update of other records, nobody is."""
    gradients, reference = rng.normal(size=(2, 600, 40))
    population = gr.Ridge.of(reference, 1e-3)
    score = lambda u, g: population.log_ratio(u, g, 8)  # noqa: E731
    outcome = played(gradients, 8, 800, score, rng)
    assert metrics.auc(outcome, confidence=0.999).low > 0.8
    shuffled = metrics.auc(Outcome(outcome.score, rng.permutation(outcome.member)), confidence=0.999)
    assert shuffled.low <= 0.5 <= shuffled.high
    others = rng.normal(size=(800, 8, 40)).mean(axis=1)
    elsewhere = played(gradients, 8, 800, lambda u, g: score(others, g), rng)
    blind = metrics.auc(elsewhere, confidence=0.999)
    assert blind.low <= 0.5 <= blind.high


# --- noise ---------------------------------------------------------------------------------------------


def test_definition_clipping_one_record_at_a_time(rng):
    gradients = rng.normal(size=(30, 4)) * rng.exponential(size=(30, 1))
    for got, own in zip(gr.clip(gradients, 1.5), gradients, strict=True):
        length = np.linalg.norm(own)
        np.testing.assert_allclose(got, own if length <= 1.5 else own * 1.5 / length)


def test_coverage_the_private_sum_keeps_within_its_curve_and_reaches_it(rng):
    gradients, sigma = np.vstack([np.full((1, 4), 9.0), rng.normal(size=(5, 4))]), 0.7
    member, known = rng.random(4000) < 0.5, gr.clip(gradients[1:], 1.0).sum(axis=0)
    seen = np.array([gr.private_sum(gradients[0 if m else 1 :], 1.0, sigma, rng=rng) for m in member])
    outcome = Outcome((seen - known) @ np.full(4, 0.5), member)
    curve = GaussianCurve(1 / sigma)
    for fpr in (0.01, 0.1, 0.5):
        band = metrics.tpr_at(outcome, fpr, confidence=0.999)
        assert band.low <= curve.tpr(fpr) <= band.high


def test_limit_with_very_much_noise_nobody_is_found(rng):
    gradients = rng.normal(size=(200, 10))
    noisy = played(
        gradients, 5, 600, lambda u, g: np.sum((u + 1e6 * rng.normal(size=u.shape)) * g, axis=1), rng
    )
    blind = metrics.auc(noisy, confidence=0.999)
    assert blind.low <= 0.5 <= blind.high


# --- doors ---------------------------------------------------------------------------------------------

READER = models.token_transformer(9, 5, 4)
GOOD = np.zeros((2, 5), dtype=np.float32), np.array([0, 1])
PIXELS = np.zeros((2, 1, 4, 4), dtype=np.float32)
EYE = np.eye(3)


def noisy_norm():
    return nn.Sequential(nn.Conv2d(1, 2, 1), norms.NoisyBatchNorm2d(2, clip=1.0, noise=1.0), nn.Flatten())


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gr.per_record(READER, GOOD[0] + 9, GOOD[1]), r"x must hold token numbers in 0 … 8, got 9.0"),
        (
            lambda: gr.per_record(READER, GOOD[0] + 0.5, GOOD[1]),
            r"x must hold token numbers in 0 … 8, got 0.5",
        ),
        (
            lambda: gr.per_record(READER, GOOD[0][:, :4], GOOD[1]),
            r"be sentences of 5 tokens, got shape \(2, 4\)",
        ),
        (lambda: gr.per_record(READER, GOOD[0], GOOD[1] + 3), r"y must be in 0 … 3, got values from 3 to 4"),
        (
            lambda: gr.per_record(READER, GOOD[0][:0], GOOD[1][:0]),
            "x must hold records, got none",
        ),
        (
            lambda: gr.per_record(models.mlp(9, (), 2), PIXELS, GOOD[1]),
            "x must hold records that the model can read",
        ),
        (lambda: gr.per_record(nn.Conv2d(1, 2, 1), PIXELS, GOOD[1]), "the model must return logits of shape"),
        (
            lambda: gr.per_record(models.small_cnn(1, 4, 2, norm="batch"), PIXELS, GOOD[1]),
            r"normalise each record alone .* got BatchNorm2d that asks the batch: call model.eval\(\)",
        ),
        (lambda: gr.per_record(noisy_norm(), PIXELS, GOOD[1]), "got NoisyBatchNorm2d that asks the batch"),
        (
            lambda: gr.per_record(
                nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 2)), PIXELS, GOOD[1]
            ),
            r"draw no random numbers .* got Dropout in training mode: call model.eval\(\)",
        ),
        (
            lambda: gr.per_record(READER, *GOOD, columns=np.ones(3, bool)),
            "columns must have one entry for each",
        ),
        (
            lambda: gr.per_record(READER, *GOOD, memory_bytes=0),
            "memory_bytes must be a finite number above 0",
        ),
        (
            lambda: gr.part(READER, "blocks.1"),
            "name must be a layer or a parameter of the model, got 'blocks.1'",
        ),
        (lambda: gr.part(READER, "embed", head=0), "head must be a head of embed, got 0"),
        (lambda: gr.part(READER, head=2), "head must be in 0 … 1, got 2"),
        (lambda: gr.by_token(READER, *GOOD, "blocks"), "layer must be one of 'embed', .* got 'blocks'"),
        (
            lambda: gr.by_token(READER, *GOOD, "classify"),
            "layer must be asked once for every token, got 'classify'",
        ),
        (lambda: gr.by_token(READER, *GOOD, "embed", head=0), "head must be a head of embed, got 0"),
        (
            lambda: gr.first_input(EYE, np.zeros(3)),
            "bias must have a gradient that is not zero, got all zeros",
        ),
        (
            lambda: gr.local_updates(READER, *GOOD, np.array([[0, 2]]), steps=1, learning_rate=1),
            r"batches must be in 0 … 1, got values from 0 to 2",
        ),
        (
            lambda: gr.local_updates(READER, *GOOD, np.array([[0]]), steps=0, learning_rate=1),
            "steps must be at least 1, got 0",
        ),
        (
            lambda: gr.local_updates(READER, *GOOD, np.array([[0]]), steps=1, learning_rate=0),
            "learning_rate must be a finite number above 0, got 0",
        ),
        (
            lambda: gr.weights(np.ones(3), np.ones((2, 3))),
            "be linearly independent, got rank 1 for 2 candidates",
        ),
        (lambda: gr.weights(np.ones(3), 0 * EYE), "be linearly independent, got a gradient of zero in row 0"),
        (lambda: gr.Ridge.of(EYE[:1], 0.1), "reference must hold at least 2 records, got 1"),
        (lambda: gr.Ridge.of(EYE, 0.0), "relative must be a finite number above 0, got 0"),
        (lambda: gr.Ridge.of(0 * EYE, 0.1), "reference must vary in at least one direction"),
        (lambda: gr.Ridge.of(EYE, 0.1).log_ratio(np.ones(3), EYE, 0), "n must be at least 1, got 0"),
        (lambda: gr.participation_ratio(0 * EYE), "gradients must vary in at least one direction"),
        (lambda: gr.clip(EYE, 0.0), "bound must be a finite number above 0, got 0"),
        (
            lambda: gr.private_sum(EYE, 1.0, 0.0, rng=np.random.default_rng()),
            "noise_multiplier must be a finite",
        ),
    ],
)
def test_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()
