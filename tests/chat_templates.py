"""Small chat templates in the style of the common model families: what each does with system, thoughts and roles."""

from __future__ import annotations

# ChatML with a default system message.
QWEN25 = """
{%- if messages[0].role != 'system' %}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

# ChatML that keeps thoughts only after the last user message: earlier ones are dropped.
QWEN3 = """
{%- set last = namespace(user=-1) %}
{%- for message in messages %}{%- if message.role == 'user' %}{%- set last.user = loop.index0 %}{%- endif %}{%- endfor %}
{%- for message in messages %}
{%- set content = message.content %}
{%- if message.role == 'assistant' and '</think>' in content and loop.index0 < last.user %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

# Headers; every content is trimmed.
LLAMA3 = """
{{- bos_token }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""

# The same with the day's date in the system header.
LLAMA31 = LLAMA3.replace(
    "{{- bos_token }}",
    "{{- bos_token }}\n{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' }}"
    "{%- if strftime_now is defined %}{{- strftime_now('%d %b %Y') }}{%- else %}{{- '26 Jul 2024' }}{%- endif %}"
    "{{- '\\n\\n<|eot_id|>' }}",
)

# Roles must alternate; the system message goes into the last user message.
MISTRAL = """
{%- if messages[0].role == 'system' %}{%- set system = messages[0].content + '\\n\\n' %}{%- set chat = messages[1:] %}
{%- else %}{%- set system = '' %}{%- set chat = messages %}{%- endif %}
{{- bos_token }}
{%- for message in chat %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{%- if message.role == 'user' %}
{{- '[INST] ' + (system if loop.last else '') + message.content + '[/INST]' }}
{%- else %}{{- ' ' + message.content + eos_token }}{%- endif %}
{%- endfor %}
"""

# Earlier thoughts are dropped, and the prompt opens the next one.
DEEPSEEK_R1 = """
{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'system' %}{{- message.content }}{%- endif %}
{%- if message.role == 'user' %}{{- '<｜User｜>' + message.content }}{%- endif %}
{%- if message.role == 'assistant' %}
{%- set content = message.content %}
{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1] %}{%- endif %}
{{- '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<｜Assistant｜><think>\\n' }}{%- endif %}
"""

TEMPLATES = {
    "qwen2.5": QWEN25,
    "qwen3": QWEN3,
    "llama-3": LLAMA3,
    "llama-3.1": LLAMA31,
    "mistral": MISTRAL,
    "deepseek-r1": DEEPSEEK_R1,
}
