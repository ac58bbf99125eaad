"""Fresh modules: shapes, a slow reading of attention, and doors."""

import math

import pytest
import torch
from torch import nn

from mialab import models


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "layer", "group"])
def test_the_cnn_normalises_with_what_was_asked_for(norm):
    model = models.small_cnn(3, 12, 5, width=8, norm=norm)
    assert model(torch.rand(2, 3, 12, 12)).shape == (2, 5)
    kind = {
        "none": nn.Identity,
        "batch": nn.BatchNorm2d,
        "instance": nn.InstanceNorm2d,
        "layer": nn.LayerNorm,
        "group": nn.GroupNorm,
    }[norm]
    assert sum(isinstance(layer, kind) for layer in model) == 2


def test_definition_attention_one_token_at_a_time():
    torch.manual_seed(0)
    attention, tokens = models.Attention(6, heads=2), torch.randn(1, 4, 6)
    q, k, v = (layer(tokens)[0].detach() for layer in (attention.query, attention.key, attention.value))
    mixed = torch.zeros(4, 6)
    for head in (slice(0, 3), slice(3, 6)):
        for i in range(4):
            odds = [math.exp(float(q[i, head] @ k[j, head]) / math.sqrt(3)) for j in range(4)]
            for j in range(4):
                mixed[i, head] += odds[j] / sum(odds) * v[j, head]
    torch.testing.assert_close(attention(tokens)[0], attention.output(mixed), atol=1e-6, rtol=1e-5)


def test_oracle_attention_is_torchs():
    torch.manual_seed(0)
    ours, tokens = models.Attention(8, heads=2), torch.randn(3, 5, 8)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
    theirs.in_proj_bias.data = torch.cat([ours.query.bias, ours.key.bias, ours.value.bias])
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    expected, weights = theirs(tokens, tokens, tokens, average_attn_weights=False)
    torch.testing.assert_close(ours(tokens), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.weights(tokens), weights, atol=1e-6, rtol=1e-5)


def test_definition_tokens_are_the_patches_row_by_row():
    model = models.tiny_transformer(2, 4, 3, patch=2, width=8, heads=1, blocks=1)
    images = torch.arange(2 * 4 * 4.0).view(1, 2, 4, 4)
    patch = images[0, :, 0:2, 2:4].flatten()  # the second patch of the first row
    expected = model.embed(patch) + model.position.weight[1]
    torch.testing.assert_close(model.tokens(images)[0, 1], expected)


def test_definition_sentences_are_looked_up_and_the_first_token_answers():
    model = models.token_transformer(7, 4, 3, width=8)
    sentence = torch.tensor([[2.0, 6.0, 0.0, 2.0]])
    expected = model.embed.weight[[2, 6, 0, 2]] + model.position.weight
    torch.testing.assert_close(model.tokens(sentence)[0], expected)
    first = model.norm(model.blocks(expected[None]))[:, 0]
    torch.testing.assert_close(model(sentence), model.classify(first))


@pytest.mark.usefixtures("at_the_door")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.mlp(0, (3,), 2), "inputs must be at least 1, got 0"),
        (lambda: models.small_cnn(1, 10, 2), "side must be a multiple of 4, got 10"),
        (lambda: models.small_cnn(1, 8, 2, width=6), "width must be a multiple of 4, got 6"),
        (lambda: models.small_cnn(1, 8, 2, norm="spectral"), "norm must be one of 'none', .* or a function"),
        (lambda: models.tiny_transformer(1, 8, 2, patch=3), "patch must divide the side 8, got 3"),
        (
            lambda: models.tiny_transformer(1, 8, 2, width=5, heads=2),
            "width must be a multiple of the 2 heads, got 5",
        ),
        (lambda: models.tiny_transformer(1, 8, 2, blocks=0), "blocks must be at least 1, got 0"),
        (lambda: models.token_transformer(0, 5, 2), "vocabulary must be at least 1, got 0"),
        (
            lambda: models.token_transformer(9, 5, 2, read="last"),
            "read must be one of 'mean', 'first', got 'last'",
        ),
    ],
)
def test_the_door(make, message):
    with pytest.raises(ValueError, match=message):
        make()
