"""What the seats at the table see of a federation."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from mialab import _check
from mialab._validation import door
from mialab.train import Fleet
from mialab.train.fleet import unflatten


@door
@dataclass(frozen=True, eq=False)
class Trace:
    """All messages of many federations.

    An **outsider** sees ``shared(rounds)``, the final model. Another **client** sees ``shared(r)`` of every
    round. The **server** sees ``sent(r, client)`` of every client, unless updates are added up in secret:
    then it sees what another client sees.

    Attributes
    ----------
    template
        A module of the shape that is trained; its own weights mean nothing.
    weights
        (rounds + 1, federations, weights): the shared weights before every round, and at the end.
    updates
        For every round that was watched, (federations, clients, weights): what each client would send, before
        the clip. A client that sat the round out has a row too; see ``took_part``.
    took_part
        Bool (rounds, federations, clients).
    modules
        A module of every federation, where they were trained one by one; else none.

    Examples
    --------
    >>> import torch
    >>> weights = torch.tensor([[[1.0, 2.0]], [[1.5, 2.5]]])  # before the one round, and after it
    >>> updates = {0: torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])}  # of two clients
    >>> trace = Trace(nn.Linear(2, 1, bias=False), weights, updates, torch.ones(1, 1, 2, dtype=torch.bool))
    >>> trace.shared(1)[0].weight.tolist(), trace.sent(0, client=1)[0].weight.tolist()
    ([[1.5, 2.5]], [[2.0, 3.0]])
    """

    template: nn.Module
    weights: Float[Tensor, "moments federations weights"]
    updates: dict[int, Float[Tensor, "federations clients weights"]]
    took_part: Bool[Tensor, "rounds federations clients"]
    modules: tuple[nn.Module, ...] = ()

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return len(self.took_part)

    @door
    def shared(self, round_: int) -> Fleet:
        """Return the shared models before a round (0 is the start), or at the end (``rounds``).

        Raises
        ------
        ValueError
            If there is no such round.
        """
        if not 0 <= round_ <= self.rounds:
            _check.refuse("round_", f"be in 0 … {self.rounds}", round_)
        return self._fleet(self.weights[round_])

    @door
    def sent(self, round_: int, client: int) -> Fleet:
        """Return the models that a client had after its local steps of a round: shared weights plus update.

        Raises
        ------
        ValueError
            If the round was not watched, or there is no such client.
        """
        if round_ not in self.updates:
            _check.refuse("round_", f"be one that was watched, {sorted(self.updates)}", round_)
        clients = self.updates[round_].shape[1]
        if not 0 <= client < clients:
            _check.refuse("client", f"be in 0 … {clients - 1}", client)
        return self._fleet(self.weights[round_] + self.updates[round_][:, client])

    def _fleet(self, flat: Float[Tensor, "federations weights"]) -> Fleet:
        return Fleet(self.template, unflatten(flat, dict(self.template.named_parameters())), self.modules)
