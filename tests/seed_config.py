"""The predecessor's configuration whole, at its defaults, and its labels with the axes of their errors named."""

__all__ = ["SEED_CONFIG", "SEED_LABELS"]

SEED_CONFIG = """\
selected_model: glm-4.5-air
model_options:
  glm-4.5-air:
    model_id: ZHIPU-AI/glm-4-9b-chat
    tokenizer_id: ZHIPU-AI/glm-4-9b-chat
    target_modules: [query_key_value, dense, dense_h_to_4h, dense_4h_to_h]
    chat_template: glm
  qwen2.5-7b:
    model_id: Qwen/Qwen2.5-7B
    tokenizer_id: Qwen/Qwen2.5-7B
    target_modules: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]
    chat_template: qwen
  mistral-7b:
    model_id: mistralai/Mistral-7B-v0.1
    tokenizer_id: mistralai/Mistral-7B-v0.1
    target_modules: [q_proj, k_proj, v_proj, o_proj]
    chat_template: mistral
  llama-3-8b:
    model_id: meta-llama/Meta-Llama-3-8B
    tokenizer_id: meta-llama/Meta-Llama-3-8B
    target_modules: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]
    chat_template: llama
lora:
  method: lora
  r: 16
  lora_alpha: 32
  lora_dropout: 0.1
  adalora: {target_r: 8, init_r: 12, tinit: 0, tfinal: 0, deltaT: 1}
  quantization: {enabled: false, bits: 4, compute_dtype: bfloat16, double_quant: true, quant_type: nf4}
training:
  learning_rate: 2e-4
  num_epochs: 3
  batch_size: 4
  gradient_accumulation_steps: 4
  warmup_ratio: 0.03
  weight_decay: 0.001
  max_grad_norm: 0.3
  max_length: 2048
  padding: true
  truncation: true
  packing: true
  num_proc: 4
  fp16: false
  bf16: true
  gradient_checkpointing: true
  optim: paged_adamw_32bit
  eval_steps: 100
  save_steps: 200
  logging_steps: 10
  save_total_limit: 3
  eval_strategy: steps
  load_best_model_at_end: true
  metric_for_best_model: eval_f1
  greater_is_better: true
  early_stopping: true
  early_stopping_patience: 3
  scheduler: {type: cosine, warmup_steps: 100}
  logging:
    wandb: false
    project_name: llm-finetuning
    entity: null
    run_name: null
    tags: [lora, finetuning]
    notes: Which reports are dangerous?
evaluation: {enabled: true, metrics: [accuracy, f1], val_split: 0.1}
data:
  augmentation: {enabled: false, methods: [synonym_replacement, random_insertion], aug_p: 0.1}
output:
  structured: false
  schema: '{"decision": "str", "rationale": "str", "abstain": "bool"}'
instruction_format:
  system_prompt: |
    Say how dangerous a report is. Answer in JSON.
  input_template: |
    Report: {text}
    Known: {metadata}
  output_template: |
    {
      "decision": "{label}",
      "rationale": "{rationale}",
      "abstain": {abstain}
    }
  abstain_examples:
    - text: "zz ?? qq"
      output: |
        {
          "decision": null,
          "rationale": "no words",
          "abstain": true
        }
high_stakes:
  uncertainty: {enabled: false, method: mc_dropout, num_samples: 5, abstention_threshold: 0.7, fp_penalty_weight: 2.0}
  factual: {enabled: false, reliance_steps: 3, fact_penalty_weight: 2.0, self_consistency_threshold: 0.8}
  bias_audit:
    enabled: false
    audit_categories: [gender, race, age, nationality]
    bias_threshold: 0.1
    mitigation_weight: 1.5
  explainable: {enabled: false, chain_of_thought: true, reasoning_steps: 3, faithfulness_check: true}
  procedural: {enabled: false, domain: medical, procedure_file: configs/procedures.yaml, compliance_weight: 2.0}
  verifiable:
    enabled: false
    hash_artifacts: true
    cryptographic_proof: true
    checkpoint_hashing: true
    audit_log: artifacts/audit_trail.jsonl
advanced_metrics:
  conformal_prediction: {enabled: false, alpha: 0.1, method: lac, calibration_ratio: 0.2}
  risk_control:
    enabled: false
    alpha: 0.1
    cost_matrix: default
    class_names: [HIGH_RISK, MEDIUM_RISK, LOW_RISK, NO_RISK]
  calibration_tracking: {enabled: false, adjustment_threshold: 0.05, adjustment_factor: 0.9, patience: 3}
abstention_loss: {enabled: true, confidence_threshold: 0.7, abstention_penalty: 0.3, uncertainty_weight: 0.1}
calibration_monitoring: {enabled: true, adjustment_threshold: 0.05, lr_reduction_factor: 0.8}
"""

SEED_LABELS = """\
labels:
  - {name: HIGH_RISK, harm_weight: 10.0, description: a danger}
  - {name: MEDIUM_RISK, harm_weight: 5.0, description: perhaps a danger}
  - {name: LOW_RISK, harm_weight: 1.0, description: hardly a danger}
  - {name: NO_RISK, harm_weight: 0.1, description: no danger}
abstain: {enabled: true, default_threshold: 0.7, cascade_threshold: 0.85, max_abstain_rate: 0.15}
critical_errors:
  - {true: HIGH_RISK, predicted: NO_RISK, weight: 100.0}
  - {true: HIGH_RISK, predicted: LOW_RISK, weight: 50.0}
"""
