/**
 * The messages of caffe.proto that nets, solvers, weights and snapshots are made of: names, numbers, types and defaults of their fields,
 * for the text format and the binary one alike. A message that is named here without fields is known to be no part of what can be
 * trained; a layer that uses it is refused by its type, not by its field.
 *
 * A line is a message, its fields separated by semicolons: name, type (* repeated), number, default. Number 0: the text format only, for
 * fields of CaffeOnSpark whose numbers differ between its versions.
 */
const messages = `
BlobShape: dim int* 1
BlobProto: shape BlobShape 7; data float* 5; diff float* 6; double_data double* 8; double_diff double* 9
  num int 1; channels int 2; height int 3; width int 4
FillerParameter: type string 1 constant; value float 2; min float 3; max float 4 1; mean float 5; std float 6 1; sparse int 7 -1
  variance_norm VarianceNorm 8 FAN_IN
NetParameter: name string 1; input string* 3; input_shape BlobShape* 8; input_dim int* 4; force_backward bool 5; state NetState 6
  debug_info bool 7; layer LayerParameter* 100; layers V1LayerParameter* 2
SolverParameter: net string 24; net_param NetParameter 25; train_net string 1; test_net string* 2; train_net_param NetParameter 21
  test_net_param NetParameter* 22; train_state NetState 26; test_state NetState* 27; test_iter int* 3; test_interval int 4 0
  test_compute_loss bool 19; test_initialization bool 32 true; base_lr float 5; display int 6; average_loss int 33 1; max_iter int 7
  iter_size int 36 1; lr_policy string 8; gamma float 9; power float 10; momentum float 11; weight_decay float 12
  regularization_type string 29 L2; stepsize int 13; stepvalue int* 34; clip_gradients float 35 -1; snapshot int 14 0
  snapshot_prefix string 15; snapshot_diff bool 16; snapshot_format SnapshotFormat 37 BINARYPROTO; solver_mode SolverMode 17 GPU
  device_id int 18; random_seed int 20 -1; type string 40 SGD; delta float 31 1e-8; momentum2 float 39 0.999; rms_decay float 38 0.99
  debug_info bool 23; snapshot_after_train bool 28 true; solver_type SolverType 30 SGD; layer_wise_reduce bool 41 true; weights string* 42
SolverState: iter int 1; learned_net string 2; history BlobProto* 3; current_step int 4
NetState: phase Phase 1 TEST; level int 2; stage string* 3
NetStateRule: phase Phase 1; min_level int 2; max_level int 3; stage string* 4; not_stage string* 5
ParamSpec: name string 1; share_mode DimCheckMode 2 STRICT; lr_mult float 3 1; decay_mult float 4 1
LayerParameter: name string 1; type string 2; bottom string* 3; top string* 4; phase Phase 10; loss_weight float* 5; param ParamSpec* 6
  blobs BlobProto* 7; propagate_down bool* 11; include NetStateRule* 8; exclude NetStateRule* 9
  source_class string 0; cos_data_param CoSDataParameter 0
  transform_param TransformationParameter 100; loss_param LossParameter 101; accuracy_param AccuracyParameter 102
  argmax_param ArgMaxParameter 103; batch_norm_param BatchNormParameter 139; bias_param BiasParameter 141; clip_param ClipParameter 148
  concat_param ConcatParameter 104; contrastive_loss_param ContrastiveLossParameter 105; convolution_param ConvolutionParameter 106
  crop_param CropParameter 144; data_param DataParameter 107; dropout_param DropoutParameter 108
  dummy_data_param DummyDataParameter 109; eltwise_param EltwiseParameter 110; elu_param ELUParameter 140
  embed_param EmbedParameter 137; exp_param ExpParameter 111; flatten_param FlattenParameter 135; hdf5_data_param HDF5DataParameter 112
  hdf5_output_param HDF5OutputParameter 113; hinge_loss_param HingeLossParameter 114; image_data_param ImageDataParameter 115
  infogain_loss_param InfogainLossParameter 116; inner_product_param InnerProductParameter 117; input_param InputParameter 143
  log_param LogParameter 134; lrn_param LRNParameter 118; memory_data_param MemoryDataParameter 119; mvn_param MVNParameter 120
  parameter_param ParameterParameter 145; pooling_param PoolingParameter 121; power_param PowerParameter 122
  prelu_param PReLUParameter 131; python_param PythonParameter 130; recurrent_param RecurrentParameter 146
  reduction_param ReductionParameter 136; relu_param ReLUParameter 123; reshape_param ReshapeParameter 133
  scale_param ScaleParameter 142; sigmoid_param SigmoidParameter 124; softmax_param SoftmaxParameter 125; spp_param SPPParameter 132
  slice_param SliceParameter 126; swish_param SwishParameter 147; tanh_param TanHParameter 127; threshold_param ThresholdParameter 128
  tile_param TileParameter 138; window_data_param WindowDataParameter 129
V1LayerParameter: layer V0LayerParameter 1; bottom string* 2; top string* 3; name string 4; include NetStateRule* 32
  exclude NetStateRule* 33; type V1LayerType 5; blobs BlobProto* 6; param string* 1001; blob_share_mode DimCheckMode* 1002
  blobs_lr float* 7; weight_decay float* 8; loss_weight float* 35; accuracy_param AccuracyParameter 27; argmax_param ArgMaxParameter 23
  concat_param ConcatParameter 9; contrastive_loss_param ContrastiveLossParameter 40; convolution_param ConvolutionParameter 10
  data_param DataParameter 11; dropout_param DropoutParameter 12; dummy_data_param DummyDataParameter 26
  eltwise_param EltwiseParameter 24; exp_param ExpParameter 41; hdf5_data_param HDF5DataParameter 13
  hdf5_output_param HDF5OutputParameter 14; hinge_loss_param HingeLossParameter 29; image_data_param ImageDataParameter 15
  infogain_loss_param InfogainLossParameter 16; inner_product_param InnerProductParameter 17; lrn_param LRNParameter 18
  memory_data_param MemoryDataParameter 22; mvn_param MVNParameter 34; pooling_param PoolingParameter 19; power_param PowerParameter 21
  relu_param ReLUParameter 30; sigmoid_param SigmoidParameter 38; softmax_param SoftmaxParameter 39; slice_param SliceParameter 31
  tanh_param TanHParameter 37; threshold_param ThresholdParameter 25; window_data_param WindowDataParameter 20
  transform_param TransformationParameter 36; loss_param LossParameter 42
V0LayerParameter: name string 1; type string 2
TransformationParameter: scale float 1 1; mirror bool 2; crop_size int 3 0; mean_file string 4; mean_value float* 5
  force_color bool 6; force_gray bool 7
LossParameter: ignore_label int 1; normalization NormalizationMode 3 VALID; normalize bool 2
AccuracyParameter: top_k int 1 1; axis int 2 1; ignore_label int 3
ArgMaxParameter: out_max_val bool 1; top_k int 2 1; axis int 3
BatchNormParameter: use_global_stats bool 1; moving_average_fraction float 2 0.999; eps float 3 1e-5
BiasParameter: axis int 1 1; num_axes int 2 1; filler FillerParameter 3
ClipParameter: min float 1; max float 2
ConcatParameter: axis int 2 1; concat_dim int 1 1
ContrastiveLossParameter: margin float 1 1; legacy_version bool 2
ConvolutionParameter: num_output int 1; bias_term bool 2 true; pad int* 3; kernel_size int* 4; stride int* 6; dilation int* 18
  pad_h int 9; pad_w int 10; kernel_h int 11; kernel_w int 12; stride_h int 13; stride_w int 14; group int 5 1
  weight_filler FillerParameter 7; bias_filler FillerParameter 8; engine Engine 15 DEFAULT; axis int 16 1; force_nd_im2col bool 17
CropParameter: axis int 1 2; offset int* 2
DataParameter: source string 1; batch_size int 4; rand_skip int 7; backend DB 8 LEVELDB; scale float 2 1; mean_file string 3
  crop_size int 5 0; mirror bool 6; force_encoded_color bool 9; prefetch int 10 4
DropoutParameter: dropout_ratio float 1 0.5
DummyDataParameter: data_filler FillerParameter* 1; shape BlobShape* 6; num int* 2; channels int* 3; height int* 4; width int* 5
EltwiseParameter: operation EltwiseOp 1 SUM; coeff float* 2; stable_prod_grad bool 3 true
ELUParameter: alpha float 1 1
EmbedParameter: num_output int 1; input_dim int 2; bias_term bool 3 true; weight_filler FillerParameter 4; bias_filler FillerParameter 5
ExpParameter: base float 1 -1; scale float 2 1; shift float 3
FlattenParameter: axis int 1 1; end_axis int 2 -1
HDF5DataParameter: source string 1; batch_size int 2; shuffle bool 3
HDF5OutputParameter: file_name string 1
HingeLossParameter: norm Norm 1 L1
ImageDataParameter: source string 1; batch_size int 4 1; rand_skip int 7; shuffle bool 8; new_height int 9; new_width int 10
  is_color bool 11 true; scale float 2 1; mean_file string 3; crop_size int 5 0; mirror bool 6; root_folder string 12
InfogainLossParameter: source string 1; axis int 2 1
InnerProductParameter: num_output int 1; bias_term bool 2 true; weight_filler FillerParameter 3; bias_filler FillerParameter 4
  axis int 5 1; transpose bool 6
InputParameter: shape BlobShape* 1
LogParameter: base float 1 -1; scale float 2 1; shift float 3
LRNParameter: local_size int 1 5; alpha float 2 1; beta float 3 0.75; norm_region NormRegion 4 ACROSS_CHANNELS; k float 5 1
  engine Engine 6 DEFAULT
MemoryDataParameter: batch_size int 1; channels int 2; height int 3; width int 4; source string 0; image_encoded bool 0
  share_in_parallel bool 0; dataframe_format string 0; dataframe_column_select string* 0
CoSDataParameter: batch_size int 0; top CoSTop* 0; source string 0; dataframe_format string 0
CoSTop: name string 0; type string 0; channels int 0; height int 0; width int 0; out_channels int 0; out_height int 0; out_width int 0
  sample_num_axes int 0; transpose bool 0; transform_param TransformationParameter 0
MVNParameter: normalize_variance bool 1 true; across_channels bool 2; eps float 3 1e-9
ParameterParameter: shape BlobShape 1
PoolingParameter: pool PoolMethod 1 MAX; pad int 4 0; pad_h int 9 0; pad_w int 10 0; kernel_size int 2; kernel_h int 5; kernel_w int 6
  stride int 3 1; stride_h int 7; stride_w int 8; engine Engine 11 DEFAULT; global_pooling bool 12; round_mode RoundMode 13 CEIL
PowerParameter: power float 1 1; scale float 2 1; shift float 3
PReLUParameter: filler FillerParameter 1; channel_shared bool 2
PythonParameter: module string 1; layer string 2; param_str string 3; share_in_parallel bool 4
RecurrentParameter: num_output int 1; weight_filler FillerParameter 2; bias_filler FillerParameter 3; debug_info bool 4
  expose_hidden bool 5
ReductionParameter: operation ReductionOp 1 SUM; axis int 2; coeff float 3 1
ReLUParameter: negative_slope float 1; engine Engine 2 DEFAULT
ReshapeParameter: shape BlobShape 1; axis int 2; num_axes int 3 -1
ScaleParameter: axis int 1 1; num_axes int 2 1; filler FillerParameter 3; bias_term bool 4; bias_filler FillerParameter 5
SigmoidParameter: engine Engine 1 DEFAULT
SliceParameter: axis int 3 1; slice_point int* 2; slice_dim int 1 1
SoftmaxParameter: engine Engine 1 DEFAULT; axis int 2 1
SPPParameter: pyramid_height int 1; pool PoolMethod 2 MAX; engine Engine 6 DEFAULT
SwishParameter: beta float 1 1
TanHParameter: engine Engine 1 DEFAULT
ThresholdParameter: threshold float 1
TileParameter: axis int 1 1; tiles int 2
WindowDataParameter: source string 1; scale float 2 1; mean_file string 3; batch_size int 4; crop_size int 5 0; mirror bool 6
  fg_threshold float 7 0.5; bg_threshold float 8 0.5; fg_fraction float 9 0.25; context_pad int 10; crop_mode string 11 warp
  cache_images bool 12; root_folder string 13
`

/** Values of enums, counted from 0 where no number is given. */
const enums = `
Phase: TRAIN TEST
VarianceNorm: FAN_IN FAN_OUT AVERAGE
SnapshotFormat: HDF5 BINARYPROTO
SolverMode: CPU GPU
SolverType: SGD NESTEROV ADAGRAD RMSPROP ADADELTA ADAM
DimCheckMode: STRICT PERMISSIVE
NormalizationMode: FULL VALID BATCH_SIZE NONE
Engine: DEFAULT CAFFE CUDNN
DB: LEVELDB LMDB
EltwiseOp: PROD SUM MAX
Norm: L1=1 L2
NormRegion: ACROSS_CHANNELS WITHIN_CHANNEL
PoolMethod: MAX AVE STOCHASTIC
RoundMode: CEIL FLOOR
ReductionOp: SUM=1 ASUM SUMSQ MEAN
V1LayerType: NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT IM2COL IMAGE_DATA
  INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE
  POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP
  DECONVOLUTION
`

export type ScalarType = 'int' | 'float' | 'double' | 'bool' | 'string'

export interface Field {
  name: string
  type: ScalarType | EnumType | MessageType
  repeated: boolean
  /** 0: not in the binary format. */
  number: number
  /** Value of an absent field. */
  otherwise?: number | boolean | string
}

export interface EnumType {
  kind: 'enum'
  name: string
  numbers: Map<string, number>
  names: Map<number, string>
}

export interface MessageType {
  kind: 'message'
  name: string
  fields: Map<string, Field>
  numbers: Map<number, Field>
}

function entries(text: string): [name: string, content: string][] {
  const joined = text.trim().replace(/\n {2}/g, '; ')
  return joined.split('\n').map(line => {
    const [name, content] = line.split(/: (.*)/s)
    return [name, content]
  })
}

function readEnum(name: string, content: string): EnumType {
  const type: EnumType = { kind: 'enum', name, numbers: new Map(), names: new Map() }
  let next = 0
  for (const entry of content.split(/[ ;]+/)) {
    const [value, number] = entry.split('=')
    if (number !== undefined) next = Number(number)
    type.numbers.set(value, next)
    type.names.set(next++, value)
  }
  return type
}

const scalars = new Set(['int', 'float', 'double', 'bool', 'string'])

function readSchema(): Map<string, MessageType> {
  const enumTypes = new Map(entries(enums).map(([name, content]) => [name, readEnum(name, content)]))
  const types = new Map<string, MessageType>()
  for (const [name] of entries(messages)) types.set(name, { kind: 'message', name, fields: new Map(), numbers: new Map() })
  for (const [message, content] of entries(messages)) {
    const type = types.get(message)!
    for (const entry of content.split('; ')) {
      const [name, kind, number, otherwise] = entry.split(' ')
      const plain = kind.replace('*', '')
      const found = scalars.has(plain) ? (plain as ScalarType) : (enumTypes.get(plain) ?? types.get(plain))
      if (found === undefined) throw new Error(`field ${message}.${name} has the unknown type ${plain}`)
      const field: Field = { name, type: found, repeated: kind.endsWith('*'), number: Number(number) }
      if (otherwise !== undefined) field.otherwise = defaultOf(found, otherwise)
      type.fields.set(name, field)
      if (field.number > 0) type.numbers.set(field.number, field)
    }
  }
  return types
}

function defaultOf(type: Field['type'], text: string): number | boolean | string {
  if (type === 'bool') return text === 'true'
  return type === 'int' || type === 'float' || type === 'double' ? Number(text) : text
}

const schema = readSchema()

/** The message called `name`. */
export function messageType(name: string): MessageType {
  const type = schema.get(name)
  if (type === undefined) throw new Error(`there is no message ${name}`)
  return type
}

/** Every message there is. */
export const messageTypes: readonly MessageType[] = [...schema.values()]
