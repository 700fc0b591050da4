"""AdamW as PyTorch computes it (Loshchilov and Hutter, ICLR 2019).

nn.AdamWeightDecay does not correct the moments' bias, and nn.Adam adds epsilon before that correction and has no
momentum of 0.
"""

import math
from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops


class AdamW(nn.Optimizer):
    """Adam with decay of the weights themselves; with no decay it is Adam.

    parameters: a list, or as for every nn.Optimizer a list of groups {"params": [...], "lr": rate}
    """

    def __init__(
        self,
        parameters: Sequence[Parameter | dict],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, parameters)
        self.betas, self.epsilon, self.decay = betas, epsilon, weight_decay
        # 1 - beta^t as -expm1(t log beta), of the beta that the kernel rounds to: exact from the first step on.
        self.log_betas = tuple(math.log(max(float(np.float32(beta)), 1e-30)) for beta in betas)
        self.moments1 = self.parameters.clone(prefix="moment1", init="zeros")
        self.moments2 = self.parameters.clone(prefix="moment2", init="zeros")
        self.adam = ops.Adam()
        self.zero = Tensor(0.0, ms.float32)

    def construct(self, gradients: tuple) -> tuple:
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        step = self.global_step.astype(ms.float32).reshape(())
        correction1 = -ops.expm1(step * self.log_betas[0])
        root = ops.sqrt(-ops.expm1(step * self.log_betas[1]))
        rates, done = self.get_lr(), ()
        for i in range(len(self.parameters)):
            parameter, rate = self.parameters[i], rates[i] if self.is_group_lr else rates
            if self.decay > 0:
                ops.assign(parameter, parameter * (1.0 - rate * self.decay))
            # The kernel's own correction is switched off by betas to a power that is 0.
            updated = self.adam(
                parameter,
                self.moments1[i],
                self.moments2[i],
                self.zero,
                self.zero,
                rate * root / correction1,
                self.betas[0],
                self.betas[1],
                self.epsilon * root,
                gradients[i],
            )
            done += (updated[0],)
        return done
